/** The time that a delay line uses. Tests pass a clock that they move. */
export interface Timing {
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  /** Calls back no earlier than after `delayMs`; gives what takes it back. */
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
 * One direction of a path: what goes in comes out later, in the same order, never early. A single timer serves it,
 * and what it holds is counted, so that whoever feeds it can bound it.
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

  /** The sizes of everything that waits, added up. */
  get queued(): number {
    return this.#queued;
  }

  /**
   * Delivers after `delayMs`, or right behind what was pushed before if that comes later.
   * @param notBeforeMs - the delay begins at this time at the earliest, by the clock of the timing
   */
  push(size: number, delayMs: number, deliver: () => void, notBeforeMs = -Infinity): void {
    if (this.#closed) return;
    const dueMs = Math.max(Math.max(this.#timing.now(), notBeforeMs) + delayMs, this.#lastDueMs);
    this.#lastDueMs = dueMs;
    this.#queued += size;
    this.#waiting.push({ dueMs, size, deliver });
    if (this.#cancel === undefined) this.#arm(dueMs);
  }

  /** Throws away what waits; nothing is delivered any more. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#waiting = [];
    this.#head = 0;
    this.#queued = 0;
  }

  #arm(dueMs: number): void {
    // Timers count whole milliseconds; rounding down would only wake it for nothing.
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
