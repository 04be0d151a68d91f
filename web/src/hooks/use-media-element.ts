import { useEffect, useRef, useState, type RefObject } from 'react';

/** Plays a track in the element that the returned reference is put on. `blocked` tells that autoplay was refused. */
export function useMediaElement<Element extends HTMLMediaElement>(
  track: MediaStreamTrack | undefined,
  blocked?: () => void,
): RefObject<Element | null> {
  const reference = useRef<Element | null>(null);
  const [playing] = useState<{ element: Element | null }>(() => ({ element: null }));
  const onBlocked = useRef(blocked);
  useEffect(() => {
    onBlocked.current = blocked;
  });
  useEffect(() => {
    const element = reference.current;
    playing.element = element;
    if (element === null) return;
    if (track === undefined) {
      element.srcObject = null;
      return;
    }
    // In the stream that plays already, so that the last picture stays until the first one of the new track.
    const stream = element.srcObject instanceof MediaStream ? element.srcObject : new MediaStream();
    stream.addTrack(track);
    for (const other of stream.getTracks()) if (other !== track) stream.removeTrack(other);
    if (element.srcObject !== stream) element.srcObject = stream;
    element.play().catch((thrown: unknown) => {
      // AbortError only says that another track came before this one began to play.
      if (thrown instanceof Error && thrown.name === 'NotAllowedError') onBlocked.current?.();
    });
  }, [track, playing]);
  useEffect(
    () => () => {
      // An element that nobody sees any more would go on sounding.
      if (playing.element !== null) playing.element.srcObject = null;
    },
    [playing],
  );
  return reference;
}
