import { JOIN_INTERVAL_MS } from '@plenary/cluster';

/** How many peers came within the last {@link JOIN_INTERVAL_MS}; told to all edges, which see only their own. */
export class RecentJoins {
  readonly #atMs: number[] = [];

  /** @param nowMs - of a clock that never jumps */
  note(nowMs: number): void {
    this.#atMs.push(nowMs);
    // Nobody may ask for long, while the store is away.
    if (this.#atMs.length % 1_000 === 0) this.count(nowMs);
  }

  count(nowMs: number): number {
    const first = this.#atMs.findIndex((atMs) => atMs > nowMs - JOIN_INTERVAL_MS);
    this.#atMs.splice(0, first === -1 ? this.#atMs.length : first);
    return this.#atMs.length;
  }
}
