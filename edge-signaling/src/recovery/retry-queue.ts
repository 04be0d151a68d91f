import { forgetOldest, sideBySide, after, inBackground, tellEntryFault } from '@plenary/cluster';

/** The first retry comes after so long, in milliseconds; each one that helps nobody doubles it. */
const FIRST_RETRY_MS = 2_000;
/** So long at most, in milliseconds. */
const LAST_RETRY_MS = 60_000;
/** Retries that are under way at a time: thousands must not fall upon a store that has just returned. */
const RETRIES_AT_ONCE = 16;

export interface RetryQueueSettings<Item> {
  /** What waits at most; beyond it the oldest is given up. */
  readonly maxWaiting: number;
  /** Tries one again. @returns whether it is done; one that is not, or throws, goes on waiting */
  readonly retry: (item: Item) => Promise<boolean>;
  /** The oldest was given up. */
  readonly onGivenUp: (item: Item) => void;
}

/**
 * What could not be done and is tried again: bounded, a few at a time, later and later while nothing helps. What is added
 * under a key that waits already takes its place.
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
    const { maxWaiting, onGivenUp } = this.#settings;
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

  /** Tries at once what fits, because what it waited for is back. Never rejects. */
  async retryNow(fits: (item: Item) => boolean = () => true): Promise<void> {
    const due = [...this.#waiting].filter(([, item]) => fits(item));
    let done = 0;
    await sideBySide(due, RETRIES_AT_ONCE, async ([key, item]) => {
      // It may have been taken back, or a later one may have taken its place, while others were tried.
      if (this.#waiting.get(key) !== item || !(await this.#try(item))) return;
      done += 1;
      if (this.#waiting.get(key) === item) this.#waiting.delete(key);
    });
    if (done > 0) this.#retryMs = FIRST_RETRY_MS;
  }

  /** One that throws holds up neither the others nor the next time. */
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
    // Only now: what failed again waits for the next time, and no two rounds run at once.
    this.#timer = undefined;
    if (this.#waiting.size > 0) this.#retryLater();
  }
}
