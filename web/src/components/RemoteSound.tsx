import { useCallback } from 'react';
import type { RemoteTrack } from '../client/index.ts';
import { useMediaElement } from '../hooks/use-media-element.ts';

interface SoundProps {
  readonly track: RemoteTrack;
  readonly blocked: (isBlocked: boolean) => void;
}

/** Neither at its end nor on its way out. */
function isPaused({ paused, ended, srcObject }: HTMLAudioElement): boolean {
  return paused && !ended && srcObject !== null;
}

function Sound({ track, blocked }: SoundProps) {
  const onBlocked = useCallback(() => blocked(true), [blocked]);
  const reference = useMediaElement<HTMLAudioElement>(track.mediaTrack, onBlocked);
  return (
    <audio
      ref={reference}
      autoPlay
      // A call, a key of a headset or one that was unplugged: it does not go on by itself everywhere, and nothing else would say so.
      onPause={({ currentTarget }) => {
        if (isPaused(currentTarget)) onBlocked();
      }}
      onPlaying={() => {
        if (!allSound().some(isPaused)) blocked(false);
      }}
      data-testid="remote-audio"
      data-peer-id={track.peerId}
    />
  );
}

export interface RemoteSoundProps {
  readonly tracks: Iterable<RemoteTrack>;
  readonly blocked: (isBlocked: boolean) => void;
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

function allSound(): readonly HTMLAudioElement[] {
  return [...document.querySelectorAll('audio')];
}

/** Starts all sound of the page; must run inside of a click. */
export function playAllSound(): Promise<unknown> {
  return Promise.all(allSound().map((element) => element.play()));
}
