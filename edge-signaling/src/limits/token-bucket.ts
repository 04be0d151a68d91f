import type { Clock } from '@plenary/cluster';

export interface BucketSettings {
  /** What a full bucket holds: the largest burst. */
  readonly capacity: number;
  readonly refillPerSecond: number;
}

/** A token bucket: costs are taken while they last, and come back at a steady rate (SPEC RL1). */
export class TokenBucket {
  readonly #settings: BucketSettings;
  readonly #clock: Clock;
  #tokens: number;
  #filledAtMs: number;

  constructor(settings: BucketSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#tokens = settings.capacity;
    this.#filledAtMs = clock.monotonicMs();
  }

  /** Takes `cost` tokens, or none and answers `false`. */
  take(cost: number): boolean {
    this.#refill();
    if (this.#tokens < cost) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Whether nothing was taken for so long that the bucket may be forgotten. */
  isFull(): boolean {
    this.#refill();
    return this.#tokens >= this.#settings.capacity;
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    const added = ((nowMs - this.#filledAtMs) / 1_000) * this.#settings.refillPerSecond;
    this.#tokens = Math.min(this.#settings.capacity, this.#tokens + added);
    this.#filledAtMs = nowMs;
  }
}
