/** For how long a reading waits for others who want the same, in milliseconds. */
export const SHARE_WITHIN_MS = 5;

interface Reads<Value> {
  /** Has begun: who asks now may be after something that it does not contain. */
  underWay: Promise<unknown> | undefined;
  /** Has not begun. */
  next: Promise<Value> | undefined;
}

/**
 * Readings that all who want the same share (SPEC BU3, BU27). Each begins after the last of those who share it has asked, so that
 * nobody is given what is older than their question; of one key there is one at a time. So a crowd that asks for the same
 * costs two readings, however large it is.
 */
export class SharedReads<Value> {
  readonly #withinMs: number;
  readonly #reads = new Map<string, Reads<Value>>();

  /** @param withinMs - for how long a reading waits for others; 0 for what somebody is about to see */
  constructor(withinMs: number = SHARE_WITHIN_MS) {
    this.#withinMs = withinMs;
  }

  /** @param reader - begins the reading; of those who share it, that of the first one is used */
  async read(key: string, reader: () => Promise<Value>): Promise<Value> {
    const reads = this.#reads.get(key) ?? { underWay: undefined, next: undefined };
    this.#reads.set(key, reads);
    reads.next ??= this.#begin(key, reads, reader);
    return reads.next;
  }

  async #begin(key: string, reads: Reads<Value>, reader: () => Promise<Value>): Promise<Value> {
    const before = reads.underWay;
    if (this.#withinMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#withinMs));
    await Promise.allSettled([before]);
    const reading = reader();
    reads.next = undefined;
    reads.underWay = reading;
    try {
      return await reading;
    } finally {
      if (reads.underWay === reading) reads.underWay = undefined;
      if (reads.underWay === undefined && reads.next === undefined) this.#reads.delete(key);
    }
  }
}
