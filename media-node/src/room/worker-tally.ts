/** Counts peers by worker, so that a join does not count all peers again. */
export class WorkerTally {
  readonly #peers = new Map<number, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(workerIndex: number): void {
    this.#change(workerIndex, 1);
  }

  remove(workerIndex: number): void {
    this.#change(workerIndex, -1);
  }

  count(workerIndex: number): number {
    return this.#peers.get(workerIndex) ?? 0;
  }

  #change(workerIndex: number, by: number): void {
    this.#total += by;
    this.#peers.set(workerIndex, this.count(workerIndex) + by);
  }
}
