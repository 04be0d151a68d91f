/** How often something may be done. */
export interface PaceLimits {
  readonly atOnce: number;
  readonly aSecond: number;
}

/** Lets something be done so often, and says how long the next time has to wait. */
export class Pace {
  readonly #limits: PaceLimits;
  #left: number;
  #countedAtMs = 0;

  constructor(limits: PaceLimits) {
    this.#limits = limits;
    this.#left = limits.atOnce;
  }

  /**
   * @param count - how many times in one
   * @returns 0 where it may be done now, and is counted; else how long it has to wait, in milliseconds
   */
  takeOrWaitMs(nowMs: number, count = 1): number {
    const { atOnce, aSecond } = this.#limits;
    const passedMs = Math.max(0, nowMs - this.#countedAtMs);
    this.#left = Math.min(atOnce, this.#left + (passedMs * aSecond) / 1_000);
    this.#countedAtMs = nowMs;
    if (this.#left < count) return Math.ceil((1_000 * (count - this.#left)) / aSecond);
    this.#left -= count;
    return 0;
  }
}
