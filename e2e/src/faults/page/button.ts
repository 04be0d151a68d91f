import { PlenaryError } from '@plenary/cluster/errors';
import type { LocalTrack, Meeting } from '@plenary/web/client';

const PRESS_EVERY_MS = 100;

/** The results of pressing a button. */
export interface Presses {
  /** How long each successful press took, in milliseconds. */
  readonly answeredMs: readonly number[];
  /** How many presses were refused or not answered. */
  readonly failed: number;
  /** The error codes of failed presses, each once. */
  readonly codes: readonly string[];
}

type OwnTrack = Pick<LocalTrack, 'trackId' | 'epoch'>;

/**
 * Presses a button of the meeting again and again, through the meeting's own requests, and measures the longest time without a
 * successful press.
 */
export class Button {
  readonly #meeting: () => Meeting | undefined;
  #lastAtMs = performance.now();
  #longestGapMs = 0;
  /** How long each successful press took, in milliseconds. */
  #answeredMs: number[] = [];
  #failed = 0;
  readonly #codes = new Set<string>();

  constructor(meeting: () => Meeting | undefined) {
    this.#meeting = meeting;
    setInterval(() => void this.#press(), PRESS_EVERY_MS);
  }

  reset(): void {
    this.#longestGapMs = 0;
    this.#lastAtMs = performance.now();
    this.#answeredMs = [];
    this.#failed = 0;
    this.#codes.clear();
  }

  /** The presses since the reset. */
  presses(): Presses {
    return { answeredMs: this.#answeredMs, failed: this.#failed, codes: [...this.#codes] };
  }

  gap(): number {
    return Math.max(this.#longestGapMs, performance.now() - this.#lastAtMs);
  }

  /** Repeats the mute state of the own camera, which changes nothing. */
  async #press(): Promise<void> {
    const meeting = this.#meeting();
    const { trackId, epoch }: Partial<OwnTrack> = meeting?.getSnapshot().localTracks.get('camera') ?? {};
    if (meeting === undefined || trackId === undefined) return;
    const pressedMs = performance.now();
    try {
      await meeting.request('track.pause', { trackId, epoch, paused: false });
    } catch (error) {
      this.#failed += 1;
      this.#codes.add(error instanceof PlenaryError ? error.code : String(error));
      return;
    }
    const nowMs = performance.now();
    this.#answeredMs.push(nowMs - pressedMs);
    this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastAtMs);
    this.#lastAtMs = nowMs;
  }
}
