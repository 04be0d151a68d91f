import { after } from '@plenary/cluster';
/** Those who wait for a link to come up. */
export class UpWaiters {
  readonly #isUp: () => boolean;
  readonly #waiting = new Set<() => void>();

  constructor(isUp: () => boolean) {
    this.#isUp = isUp;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Waits until the link is up, `withinMs` at most, which may be none. @returns whether it is */
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

  /** The link is up now, or will never be. */
  finish(): void {
    for (const finish of [...this.#waiting]) finish();
  }
}
