/** The time that a delay line uses. Tests pass a clock that they move. */
export interface Timing {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Calls back no earlier than after `delayMs`. @returns a function that cancels it */
  schedule(delayMs: number, callback: () => void): () => void;
}

export const realTiming: Timing = {
  now: () => performance.now(),
  schedule: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};

interface Waiting {
  readonly dueMs: number;
  readonly size: number;
  readonly deliver: () => void;
}

/** How many empty slots may stay at the front of the array before it is cut. */
const SLACK = 256;

/**
 * One direction of a path: packets leave it later, in the same order, and never early. A single timer serves it,
 * and it counts what it holds, so that its user can limit it.
 */
export class DelayLine {
  readonly #timing: Timing;
  #waiting: Waiting[] = [];
  #head = 0;
  #queued = 0;
  #lastDueMs = -Infinity;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(timing: Timing = realTiming) {
    this.#timing = timing;
  }

  /** The total size of all waiting packets. */
  get queued(): number {
    return this.#queued;
  }

  /**
   * Delivers after `delayMs`, or right after the packet before if that is later.
   * @param notBeforeMs - the earliest start of the delay, by the timing's clock
   */
  push(size: number, delayMs: number, deliver: () => void, notBeforeMs = -Infinity): void {
    if (this.#closed) return;
    const dueMs = Math.max(Math.max(this.#timing.now(), notBeforeMs) + delayMs, this.#lastDueMs);
    this.#lastDueMs = dueMs;
    this.#queued += size;
    this.#waiting.push({ dueMs, size, deliver });
    if (this.#cancel === undefined) this.#arm(dueMs);
  }

  /** Drops all waiting packets; nothing is delivered any more. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#waiting = [];
    this.#head = 0;
    this.#queued = 0;
  }

  #arm(dueMs: number): void {
    // Timers count whole milliseconds, so rounding down would only wake the line too early.
    const delayMs = Math.max(0, Math.ceil(dueMs - this.#timing.now()));
    this.#cancel = this.#timing.schedule(delayMs, () => {
      this.#cancel = undefined;
      this.#deliverDue();
    });
  }

  #deliverDue(): void {
    for (;;) {
      const next = this.#waiting[this.#head];
      if (next === undefined) break;
      // A timer may fire a fraction of a millisecond early.
      if (next.dueMs > this.#timing.now()) {
        this.#arm(next.dueMs);
        return;
      }
      this.#head += 1;
      if (this.#head > SLACK) {
        this.#waiting.splice(0, this.#head);
        this.#head = 0;
      }
      this.#queued -= next.size;
      next.deliver();
      if (this.#closed) return;
    }
    this.#waiting = [];
    this.#head = 0;
  }
}
