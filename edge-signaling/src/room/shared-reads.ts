/** How long a read waits for further requests of the same data, in milliseconds. */
export const SHARE_WITHIN_MS = 5;

interface Reads<Value> {
  /** A read that has begun: it may lack data that a new request needs. */
  underWay: Promise<unknown> | undefined;
  /** A read that has not begun. */
  next: Promise<Value> | undefined;
}

/**
 * Reads that all requests of the same data share (SPEC BU3, BU27). A read begins after the last of these requests, so that no
 * request gets data older than itself; one key has one read at a time. So a crowd that requests the same data costs two reads,
 * whatever its size.
 */
export class SharedReads<Value> {
  readonly #withinMs: number;
  readonly #reads = new Map<string, Reads<Value>>();

  /** @param withinMs - how long a read waits for further requests; 0 for reads that somebody waits for */
  constructor(withinMs: number = SHARE_WITHIN_MS) {
    this.#withinMs = withinMs;
  }

  /** @param reader - begins the read; of the requests that share it, the first one's reader is used */
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
