import { TokenBucket } from '@plenary/cluster';
import type { BucketSettings, Clock } from '@plenary/cluster';

/** Budgets that are full again are forgotten when there are so many. */
const FORGET_ABOVE = 1_000;

/** One budget for each that spends, by a name of its own. */
export class CallBudgets {
  readonly #settings: BucketSettings;
  readonly #clock: Clock;
  readonly #buckets = new Map<string, TokenBucket>();
  #forgetAt = FORGET_ABOVE;

  constructor(settings: BucketSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** @returns whether so many calls were left */
  spend(who: string, calls: number): boolean {
    const bucket = this.#bucketOf(who);
    if (!bucket.affords(calls)) return false;
    bucket.spend(calls);
    return true;
  }

  get size(): number {
    return this.#buckets.size;
  }

  #bucketOf(who: string): TokenBucket {
    const known = this.#buckets.get(who);
    if (known !== undefined) return known;
    if (this.#buckets.size >= this.#forgetAt) this.#forgetFull();
    const bucket = new TokenBucket(this.#settings, this.#clock);
    this.#buckets.set(who, bucket);
    return bucket;
  }

  /** Looks at all of them each time that there are twice as many as were left. */
  #forgetFull(): void {
    for (const [who, bucket] of this.#buckets) {
      if (bucket.isFull()) this.#buckets.delete(who);
    }
    this.#forgetAt = Math.max(FORGET_ABOVE, 2 * this.#buckets.size);
  }
}
