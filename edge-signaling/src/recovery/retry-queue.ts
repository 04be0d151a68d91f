import { forgetOldest, sideBySide, after, inBackground, tellEntryFault } from '@plenary/cluster';

/** The pause before the first retry, in milliseconds; each round doubles it until one item succeeds. */
const FIRST_RETRY_MS = 2_000;
/** The longest pause between retries, in milliseconds. */
const LAST_RETRY_MS = 60_000;
/** Retries under way at a time: thousands of them at once would overload a store that has just returned. */
const RETRIES_AT_ONCE = 16;

export interface RetryQueueSettings<Item> {
  /** How many items wait at most; beyond it the oldest is discarded. */
  readonly maxWaiting: number;
  /** Tries one item again. @returns whether it is done; otherwise, or if this throws, the item stays in the queue */
  readonly retry: (item: Item) => Promise<boolean>;
  /** Called with the oldest item when it is discarded. */
  readonly onDiscarded: (item: Item) => void;
}

/**
 * Retries failed work: a bounded number of items, a few at a time, with growing pauses while none succeeds. A new item replaces
 * the one that waits under the same key.
 */
export class RetryQueue<Item> {
  readonly #settings: RetryQueueSettings<Item>;
  readonly #waiting = new Map<string, Item>();
  #retryMs = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(settings: RetryQueueSettings<Item>) {
    this.#settings = settings;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(key: string, item: Item): void {
    const { maxWaiting, onDiscarded: onGivenUp } = this.#settings;
    const [oldest] = this.#waiting.values();
    this.#waiting.delete(key);
    this.#waiting.set(key, item);
    if (this.#waiting.size > maxWaiting && oldest !== undefined) {
      forgetOldest(this.#waiting, maxWaiting);
      onGivenUp(oldest);
    }
    this.#retryLater();
  }

  delete(key: string): void {
    this.#waiting.delete(key);
  }

  /** Tries the matching items at once, because the store or node that they wait for is back. Never rejects. */
  async retryNow(fits: (item: Item) => boolean = () => true): Promise<void> {
    const due = [...this.#waiting].filter(([, item]) => fits(item));
    let done = 0;
    await sideBySide(due, RETRIES_AT_ONCE, async ([key, item]) => {
      // The item may have been deleted or replaced while others were tried.
      if (this.#waiting.get(key) !== item || !(await this.#try(item))) return;
      done += 1;
      if (this.#waiting.get(key) === item) this.#waiting.delete(key);
    });
    if (done > 0) this.#retryMs = FIRST_RETRY_MS;
  }

  /** Catches the item's error, so that it stops neither the other items nor the next round. */
  async #try(item: Item): Promise<boolean> {
    try {
      return await this.#settings.retry(item);
    } catch (fault) {
      tellEntryFault('background', fault);
      return false;
    }
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #retryLater(): void {
    if (this.#isStopped) return;
    this.#timer ??= after(this.#retryMs, () => {
      inBackground(() => this.#retryAll());
    });
  }

  async #retryAll(): Promise<void> {
    this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    await this.retryNow();
    // The next round is scheduled only now, so that no two rounds run at once.
    this.#timer = undefined;
    if (this.#waiting.size > 0) this.#retryLater();
  }
}
