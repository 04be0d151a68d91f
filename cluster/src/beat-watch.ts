import type { Clock } from './clock.ts';

export interface BeatWatchOptions {
  readonly clock: Clock;
  /** How often a beat is due, in milliseconds. */
  readonly beatMs: number;
  /** Silence of longer than this, in milliseconds, counts as stopped. */
  readonly silentMs: number;
}

/**
 * Tells when beats stop. A check that itself comes late proves that this process was stopped, not the other one: the
 * beats are then still waiting to be read, and the watch begins anew (SPEC CL19, WK20).
 */
export class BeatWatch {
  readonly #options: BeatWatchOptions;
  #lastBeatMs: number;
  #lastCheckMs: number;

  constructor(options: BeatWatchOptions) {
    this.#options = options;
    this.#lastBeatMs = options.clock.monotonicMs();
    this.#lastCheckMs = this.#lastBeatMs;
  }

  beat(): void {
    this.#lastBeatMs = this.#options.clock.monotonicMs();
  }

  /** Begins anew, as on a fresh link. */
  restart(): void {
    this.#lastBeatMs = this.#options.clock.monotonicMs();
    this.#lastCheckMs = this.#lastBeatMs;
  }

  /** To be asked more often than beats are due. @returns whether the beats have stopped */
  hasStopped(): boolean {
    const { clock, beatMs, silentMs } = this.#options;
    const nowMs = clock.monotonicMs();
    const checkWasLate = nowMs - this.#lastCheckMs > beatMs;
    this.#lastCheckMs = nowMs;
    if (checkWasLate) {
      this.#lastBeatMs = nowMs;
      return false;
    }
    return nowMs - this.#lastBeatMs > silentMs;
  }
}
