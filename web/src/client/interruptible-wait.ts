/** Waits that end early when a retry makes sense sooner, for example because an edge is connected again. */
export class InterruptibleWait {
  readonly #waiters = new Set<() => void>();

  /** Resolves after this time, or as soon as {@link wakeAll} is called. */
  wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, delayMs);
      this.#waiters.add(done);
    });
  }

  /** Ends all waits now. */
  wakeAll(): void {
    for (const done of [...this.#waiters]) done();
  }
}
