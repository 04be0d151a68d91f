import { TokenBucket } from '@plenary/cluster';
import type { BucketSettings, Clock } from '@plenary/cluster';

/** Above this number of budgets, full ones are deleted. */
const PRUNE_ABOVE = 1_000;

/** One budget per spender, by the spender's key. */
export class CallBudgets {
  readonly #settings: BucketSettings;
  readonly #clock: Clock;
  readonly #buckets = new Map<string, TokenBucket>();
  #pruneAt = PRUNE_ABOVE;

  constructor(settings: BucketSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** @returns whether the budget covered the calls */
  spend(key: string, calls: number): boolean {
    const bucket = this.#bucketFor(key);
    if (!bucket.affords(calls)) return false;
    bucket.spend(calls);
    return true;
  }

  get size(): number {
    return this.#buckets.size;
  }

  #bucketFor(key: string): TokenBucket {
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    if (this.#buckets.size >= this.#pruneAt) this.#pruneFull();
    const bucket = new TokenBucket(this.#settings, this.#clock);
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** Runs whenever the number of budgets has doubled since the last time. */
  #pruneFull(): void {
    for (const [key, bucket] of this.#buckets) {
      if (bucket.isFull()) this.#buckets.delete(key);
    }
    this.#pruneAt = Math.max(PRUNE_ABOVE, 2 * this.#buckets.size);
  }
}
