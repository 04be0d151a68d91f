/** Time as a port, so that leases and limits can be tested without waiting. */
export interface Clock {
  /** Milliseconds since the epoch; may jump. For records that others read. */
  wallMs(): number;
  /** Milliseconds of a clock that never jumps. For leases, limits and time-outs. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** A clock that a test moves. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  advance(byMs: number): void {
    this.#nowMs += byMs;
  }
}
