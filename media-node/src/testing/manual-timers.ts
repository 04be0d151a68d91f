import type { Timers } from '@plenary/cluster';

/** Timers that fire only when the test advances time. */
export class ManualTimers implements Timers {
  #nowMs = 0;
  readonly #pending = new Set<{ readonly atMs: number; readonly action: () => void }>();

  after(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, action };
    this.#pending.add(timer);
    return () => {
      this.#pending.delete(timer);
    };
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Advances time and fires due timers in order. */
  advance(byMs: number): void {
    this.#nowMs += byMs;
    const due = [...this.#pending].filter((timer) => timer.atMs <= this.#nowMs);
    for (const timer of due.sort((left, right) => left.atMs - right.atMs)) {
      if (this.#pending.delete(timer)) timer.action();
    }
  }
}
