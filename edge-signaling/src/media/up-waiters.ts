import { after } from '@plenary/cluster';

/** The requests that wait for a link to come up. */
export class UpWaiters {
  readonly #isUp: () => boolean;
  readonly #waiting = new Set<() => void>();

  constructor(isUp: () => boolean) {
    this.#isUp = isUp;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Waits until the link is up, for `withinMs` at most; 0 does not wait. @returns whether the link is up */
  async wait(withinMs: number): Promise<boolean> {
    if (this.#isUp() || withinMs <= 0) return this.#isUp();
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(finish);
        resolve(this.#isUp());
      };
      const timer = after(withinMs, finish);
      this.#waiting.add(finish);
    });
  }

  /** Ends all waits: the link is up, or is closed permanently. */
  finish(): void {
    for (const finish of [...this.#waiting]) finish();
  }
}
