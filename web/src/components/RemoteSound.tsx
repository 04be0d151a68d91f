import { useCallback } from 'react';
import type { RemoteTrack } from '../client/index.ts';
import { useMediaElement } from '../hooks/use-media-element.ts';

interface SoundProps {
  readonly track: RemoteTrack;
  readonly blocked: (isBlocked: boolean) => void;
}

/** Whether the element is paused although it has a track that has not ended. */
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
      // A phone call, a headset key or an unplugged headset pauses the element. Not every browser resumes it, and nothing else reports it.
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

/** Plays the sound of all peers, also of those whose tile is on another page. */
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

/** Starts all sound of the page. Must run in a click handler, because of the autoplay policy. */
export function playAllSound(): Promise<unknown> {
  return Promise.all(allSound().map((element) => element.play()));
}
