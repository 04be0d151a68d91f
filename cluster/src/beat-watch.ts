import type { Clock } from './clock.ts';

export interface BeatWatchOptions {
  readonly clock: Clock;
  /** The interval of beats, in milliseconds. */
  readonly beatMs: number;
  /** The silence after which beats count as stopped, in milliseconds. */
  readonly silentMs: number;
}

/**
 * Reports when beats stop. A check that itself comes late proves that this process was stopped, not the other one:
 * the beats still wait to be read, and the watch starts again (SPEC CL19, WK20).
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

  /** Starts again, as on a fresh link. */
  restart(): void {
    this.#lastBeatMs = this.#options.clock.monotonicMs();
    this.#lastCheckMs = this.#lastBeatMs;
  }

  /** Checks the beats; call it more often than beats are due. @returns whether the beats have stopped */
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
