import { useEffect, useRef, useState, type RefObject } from 'react';

/** Plays a track in the element that gets the returned reference. `blocked` is called when the browser refuses autoplay. */
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
    // The new track joins the stream that plays already, so that the last picture stays until the new track's first one.
    const stream = element.srcObject instanceof MediaStream ? element.srcObject : new MediaStream();
    stream.addTrack(track);
    for (const other of stream.getTracks()) if (other !== track) stream.removeTrack(other);
    if (element.srcObject !== stream) element.srcObject = stream;
    element.play().catch((thrown: unknown) => {
      // An AbortError only means that another track was set before this one began to play.
      if (thrown instanceof Error && thrown.name === 'NotAllowedError') onBlocked.current?.();
    });
  }, [track, playing]);
  useEffect(
    () => () => {
      // Otherwise a removed element would go on playing sound.
      if (playing.element !== null) playing.element.srcObject = null;
    },
    [playing],
  );
  return reference;
}
