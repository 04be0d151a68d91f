/** Runs work under one key sequentially, and work under different keys concurrently. */
export class Turns<Key> {
  readonly #tails = new Map<Key, Promise<void>>();

  /** The number of keys with work under way. */
  get size(): number {
    return this.#tails.size;
  }

  /** Whether work under this key is under way, so that more work would wait. */
  isBusy(key: Key): boolean {
    return this.#tails.has(key);
  }

  /**
   * @param work - may return clean-up that runs after its own end and before the next turn; the clean-up never
   * rejects
   * @returns the result of the work, or throws
   */
  run<Result>(
    key: Key,
    work: (afterwards: (rest: Promise<void>) => void) => Promise<Result>,
  ): Promise<Result> {
    let rest: Promise<void> | undefined;
    const running = (this.#tails.get(key) ?? Promise.resolve()).then(() =>
      work((named) => {
        rest = named;
      }),
    );
    // The next turn waits for the end, not for success; the caller of the work gets the failure.
    const ended = (): Promise<void> | undefined => rest;
    const tail = running.then(ended, ended).then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    this.#tails.set(key, tail);
    return running;
  }
}
