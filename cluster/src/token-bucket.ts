import type { Clock } from './clock.ts';

export interface BucketSettings {
  /** The capacity of the bucket: the largest burst. */
  readonly capacity: number;
  readonly refillPerSecond: number;
}

/**
 * A token bucket: costs are taken while tokens last, and tokens come back at a steady rate (SPEC RL1). Packages
 * (`limiter`, `rate-limiter-flexible`) support neither debts nor our clock port, and each session has a bucket for
 * each of many resources.
 */
export class TokenBucket {
  readonly #settings: BucketSettings;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #tokens: number;
  #filledAtMs: number;

  /** @param tokens - the initial content */
  constructor(settings: BucketSettings, clock: Pick<Clock, 'monotonicMs'>, tokens = settings.capacity) {
    this.#settings = settings;
    this.#clock = clock;
    this.#tokens = tokens;
    this.#filledAtMs = clock.monotonicMs();
  }

  /** Takes `cost` tokens, or takes none and returns `false`. */
  take(cost: number): boolean {
    this.#refill();
    if (this.#tokens < cost) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Takes `cost` tokens and returns 0, or takes none and returns after how many milliseconds there are enough. */
  takeOrWaitMs(cost = 1): number {
    if (this.take(cost)) return 0;
    return Math.ceil((1_000 * (cost - this.#tokens)) / this.#settings.refillPerSecond);
  }

  /** Whether a cost may be spent. A cost above the capacity may be spent when the bucket is full, and the rest is owed. */
  affords(cost: number): boolean {
    this.#refill();
    return this.#tokens >= Math.min(cost, this.#settings.capacity);
  }

  /** Takes `cost` tokens in any case: missing ones are owed. A negative cost gives tokens back. */
  spend(cost: number): void {
    this.#refill();
    this.#tokens = Math.min(this.#settings.capacity, this.#tokens - cost);
  }

  /** The current content; negative if tokens are owed. */
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
