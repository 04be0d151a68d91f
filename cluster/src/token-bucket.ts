import type { Clock } from './clock.ts';

export interface BucketSettings {
  /** What a full bucket holds: the largest burst. */
  readonly capacity: number;
  readonly refillPerSecond: number;
}

/**
 * A token bucket: costs are taken while they last, and come back at a steady rate (SPEC RL1). By hand: what packages offer (`limiter`,
 * `rate-limiter-flexible`) knows neither debts nor a clock of ours, and there is a bucket for each of many resources of each session.
 */
export class TokenBucket {
  readonly #settings: BucketSettings;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #tokens: number;
  #filledAtMs: number;

  /** @param tokens - what is in it at first */
  constructor(settings: BucketSettings, clock: Pick<Clock, 'monotonicMs'>, tokens = settings.capacity) {
    this.#settings = settings;
    this.#clock = clock;
    this.#tokens = tokens;
    this.#filledAtMs = clock.monotonicMs();
  }

  /** Takes `cost` tokens, or none and answers `false`. */
  take(cost: number): boolean {
    this.#refill();
    if (this.#tokens < cost) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Takes `cost` tokens and gives 0, or takes none and gives after how long there are so many, in milliseconds. */
  takeOrWaitMs(cost = 1): number {
    if (this.take(cost)) return 0;
    return Math.ceil((1_000 * (cost - this.#tokens)) / this.#settings.refillPerSecond);
  }

  /** Whether so much may be spent. What costs more than the bucket ever holds may be when it is full, and is owed. */
  affords(cost: number): boolean {
    this.#refill();
    return this.#tokens >= Math.min(cost, this.#settings.capacity);
  }

  /** Takes `cost` tokens in any case: what is not there is owed. A negative cost gives back. */
  spend(cost: number): void {
    this.#refill();
    this.#tokens = Math.min(this.#settings.capacity, this.#tokens - cost);
  }

  /** What is in it now; negative where it is owed. */
  get level(): number {
    this.#refill();
    return this.#tokens;
  }

  /** Whether nothing was taken for so long that the bucket may be forgotten. */
  isFull(): boolean {
    this.#refill();
    return this.#tokens >= this.#settings.capacity;
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    // A clock that went back takes nothing.
    const passedMs = Math.max(0, nowMs - this.#filledAtMs);
    const added = (passedMs / 1_000) * this.#settings.refillPerSecond;
    this.#tokens = Math.min(this.#settings.capacity, this.#tokens + added);
    this.#filledAtMs = nowMs;
  }
}
