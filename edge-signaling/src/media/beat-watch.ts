import type { Clock } from '@plenary/cluster';

/** How many beats may be missing before a media node counts as gone (it beats every 500 ms). */
export const MISSED_BEATS = 3;

/**
 * Tells when beats stop. A check that itself comes late proves that this process was stopped, not the other one: the
 * beats are then still waiting to be read, and the watch begins anew (SPEC CL3).
 */
export class BeatWatch {
  readonly #clock: Clock;
  readonly #beatMs: number;
  #lastBeatMs: number;
  #lastCheckMs: number;

  constructor(clock: Clock, beatMs: number) {
    this.#clock = clock;
    this.#beatMs = beatMs;
    this.#lastBeatMs = clock.monotonicMs();
    this.#lastCheckMs = this.#lastBeatMs;
  }

  beat(): void {
    this.#lastBeatMs = this.#clock.monotonicMs();
  }

  /** Begins anew, as on a fresh link. */
  restart(): void {
    this.#lastBeatMs = this.#clock.monotonicMs();
    this.#lastCheckMs = this.#lastBeatMs;
  }

  /** To be asked every beat, or more often. @returns whether the beats have stopped */
  hasStopped(): boolean {
    const nowMs = this.#clock.monotonicMs();
    const checkWasLate = nowMs - this.#lastCheckMs > this.#beatMs;
    this.#lastCheckMs = nowMs;
    if (checkWasLate) {
      this.#lastBeatMs = nowMs;
      return false;
    }
    return nowMs - this.#lastBeatMs > MISSED_BEATS * this.#beatMs;
  }
}
