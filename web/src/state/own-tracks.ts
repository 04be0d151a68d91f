import type { Meeting, ReadableStore } from '../client/index.ts';
import { CAPTURE_KINDS, isSending, type CaptureKind, type LocalMediaSnapshot } from './local-media.ts';

type Publishing = Pick<Meeting, 'publish' | 'unpublish' | 'replaceTrack' | 'setMuted' | 'getSnapshot'>;

/**
 * Keeps what is published of microphone and camera in line with the devices while a meeting runs. It looks at what is so now and
 * not at what was asked for once, so that no answer that comes late can switch on what was switched off meanwhile.
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
    this.#stopListening ??= this.#media.subscribe(() => this.#follow());
    this.#follow();
  }

  stop(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
    for (const kind of CAPTURE_KINDS) this.#meeting.unpublish(kind);
  }

  #follow(): void {
    for (const kind of CAPTURE_KINDS) this.#followOne(kind);
  }

  #followOne(kind: CaptureKind): void {
    const state = this.#media.getSnapshot()[kind];
    const { track } = state;
    const sends = isSending(state);
    const published = this.#meeting.getSnapshot().localTracks.get(kind);
    if (track === undefined) {
      if (published === undefined) return;
      this.#meeting.setMuted(kind, true);
      this.#meeting.replaceTrack(kind, null).catch(this.#failed);
    } else if (published?.mediaTrack !== track || published.status === 'failed') {
      // What was refused is asked for again when the person asks for it, and not before.
      if (published?.status === 'failed' && !sends) return;
      this.#meeting.publish(kind, track, { paused: !sends }).catch(this.#failed);
    } else this.#meeting.setMuted(kind, !sends);
  }
}
