/** Waits that end early when there is reason to look again, as when an edge listens again. */
export class InterruptibleWait {
  readonly #waiting = new Set<() => void>();

  /** Resolves after this time, or as soon as {@link hurry} is called. */
  wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, delayMs);
      this.#waiting.add(done);
    });
  }

  hurry(): void {
    for (const done of [...this.#waiting]) done();
  }
}
