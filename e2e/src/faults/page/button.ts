import { REPLY_ENVELOPE } from '@plenary/cluster/protocol';
import { socketSignalling } from '@plenary/web/client';
import type { LocalTrack, SignallingConnection, SignallingPort } from '@plenary/web/client';

const PRESS_EVERY_MS = 100;

type OwnTrack = Pick<LocalTrack, 'trackId' | 'epoch'>;

/**
 * Presses a button of the meeting all the time, on whatever connection the client has, and sees how long none of it was
 * answered well.
 */
export class Button {
  readonly #track: () => OwnTrack | undefined;
  #connection: SignallingConnection | undefined;
  #lastAtMs = performance.now();
  #longestGapMs = 0;

  /** @param track - the own track whose mute is said again; it changes nothing */
  constructor(track: () => OwnTrack | undefined) {
    this.#track = track;
    setInterval(() => this.#press(), PRESS_EVERY_MS);
  }

  /** How the meeting is to reach edges. */
  readonly signalling: SignallingPort = {
    open: (url, handlers, timeoutMs) => {
      this.#connection = socketSignalling.open(url, handlers, timeoutMs);
      return this.#connection;
    },
  };

  reset(): void {
    this.#longestGapMs = 0;
    this.#lastAtMs = performance.now();
  }

  gap(): number {
    return Math.max(this.#longestGapMs, performance.now() - this.#lastAtMs);
  }

  #press(): void {
    const { trackId, epoch } = this.#track() ?? {};
    if (trackId === undefined) return;
    this.#connection?.send('track.pause', { trackId, epoch, paused: false }, (envelope) => {
      const answer = REPLY_ENVELOPE.safeParse(envelope);
      if (!answer.success || !answer.data.ok) return;
      const nowMs = performance.now();
      this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastAtMs);
      this.#lastAtMs = nowMs;
    });
  }
}
