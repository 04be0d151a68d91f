import { JOIN_INTERVAL_MS } from '@plenary/cluster';

/**
 * Counts joins within the last {@link JOIN_INTERVAL_MS}. The node announces the count to all edges, since each knows
 * only its own joins.
 */
export class RecentJoins {
  readonly #atMs: number[] = [];

  /** @param nowMs - of a clock that never jumps */
  note(nowMs: number): void {
    this.#atMs.push(nowMs);
    // Nothing reads the count while the store is unreachable, so the list is pruned here too.
    if (this.#atMs.length % 1_000 === 0) this.count(nowMs);
  }

  count(nowMs: number): number {
    const first = this.#atMs.findIndex((atMs) => atMs > nowMs - JOIN_INTERVAL_MS);
    this.#atMs.splice(0, first === -1 ? this.#atMs.length : first);
    return this.#atMs.length;
  }
}
