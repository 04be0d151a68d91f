import type { Meeting, ReadableStore } from '../client/index.ts';
import { CAPTURE_KINDS, isSending, type CaptureKind, type LocalMediaSnapshot } from './local-media.ts';

type Publishing = Pick<Meeting, 'publish' | 'unpublish' | 'replaceTrack' | 'setMuted' | 'getSnapshot'>;

/**
 * Keeps the published microphone and camera tracks equal to the devices while a meeting runs. It reads the current state, not earlier
 * requests, so that a late answer cannot switch on a device that was switched off meanwhile.
 */
export class OwnTracks {
  readonly #meeting: Publishing;
  readonly #media: ReadableStore<LocalMediaSnapshot>;
  readonly #failed: (thrown: unknown) => void;
  #stopListening: (() => void) | undefined;

  constructor(
    meeting: Publishing,
    media: ReadableStore<LocalMediaSnapshot>,
    failed: (thrown: unknown) => void,
  ) {
    this.#meeting = meeting;
    this.#media = media;
    this.#failed = failed;
  }

  start(): void {
    this.#stopListening ??= this.#media.subscribe(() => this.#update());
    this.#update();
  }

  stop(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
    for (const kind of CAPTURE_KINDS) this.#meeting.unpublish(kind);
  }

  #update(): void {
    for (const kind of CAPTURE_KINDS) this.#updateKind(kind);
  }

  #updateKind(kind: CaptureKind): void {
    const state = this.#media.getSnapshot()[kind];
    const { track } = state;
    const sends = isSending(state);
    const published = this.#meeting.getSnapshot().localTracks.get(kind);
    if (track === undefined) {
      if (published === undefined) return;
      this.#meeting.setMuted(kind, true);
      this.#meeting.replaceTrack(kind, null).catch(this.#failed);
    } else if (published?.mediaTrack !== track || published.status === 'failed') {
      // A refused track is published again only when the person switches the device on.
      if (published?.status === 'failed' && !sends) return;
      this.#meeting.publish(kind, track, { paused: !sends }).catch(this.#failed);
    } else this.#meeting.setMuted(kind, !sends);
  }
}
