import type { RemoteTrack } from '../client/index.ts';
import { useMediaElement } from '../hooks/use-media-element.ts';

interface SoundProps {
  readonly track: RemoteTrack;
  readonly blocked: () => void;
}

function Sound({ track, blocked }: SoundProps) {
  const reference = useMediaElement<HTMLAudioElement>(track.mediaTrack, blocked);
  return <audio ref={reference} autoPlay data-testid="remote-audio" data-peer-id={track.peerId} />;
}

export interface RemoteSoundProps {
  readonly tracks: Iterable<RemoteTrack>;
  readonly blocked: () => void;
}

/** Plays everybody's sound, also of those whose tile is on another page. */
export function RemoteSound({ tracks, blocked }: RemoteSoundProps) {
  return (
    <div hidden>
      {[...tracks]
        .filter(({ kind, mediaTrack }) => kind === 'audio' && mediaTrack !== undefined)
        .map((track) => (
          <Sound key={track.trackId} track={track} blocked={blocked} />
        ))}
    </div>
  );
}

/** Starts all sound of the page; must run inside of a click. */
export function playAllSound(): Promise<unknown> {
  return Promise.all([...document.querySelectorAll('audio')].map((element) => element.play()));
}
