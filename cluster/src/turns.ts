/** Runs work under one key one after the other, and work under different keys side by side. */
export class Turns<Key> {
  readonly #tails = new Map<Key, Promise<void>>();

  /** How many keys have work under way. */
  get size(): number {
    return this.#tails.size;
  }

  /** Whether work under this key is under way, so that more of it would wait. */
  isBusy(key: Key): boolean {
    return this.#tails.has(key);
  }

  /**
   * @param work - may name what is still to be done after its own end, and before the next one's turn; that never rejects
   * @returns what the work gives, or throws
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
    // The next in turn waits for the end, not for success; the failure goes to who asked for the work.
    const ended = (): Promise<void> | undefined => rest;
    const tail = running.then(ended, ended).then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    this.#tails.set(key, tail);
    return running;
  }
}
