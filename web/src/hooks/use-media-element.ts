import { useEffect, useRef, type RefObject } from 'react';

/** Plays a track in the element that the returned reference is put on. `blocked` tells that autoplay was refused. */
export function useMediaElement<Element extends HTMLMediaElement>(
  track: MediaStreamTrack | undefined,
  blocked?: () => void,
): RefObject<Element | null> {
  const reference = useRef<Element | null>(null);
  const onBlocked = useRef(blocked);
  useEffect(() => {
    onBlocked.current = blocked;
  });
  useEffect(() => {
    const element = reference.current;
    if (element === null || track === undefined) return;
    element.srcObject = new MediaStream([track]);
    element.play().catch((thrown: unknown) => {
      // AbortError only says that another track came before this one began to play.
      if (thrown instanceof Error && thrown.name === 'NotAllowedError') onBlocked.current?.();
    });
    return () => {
      element.srcObject = null;
    };
  }, [track]);
  return reference;
}
