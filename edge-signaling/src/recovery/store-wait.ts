import { PlenaryError, after } from '@plenary/cluster';

/**
 * How long somebody who is in a meeting already waits at an edge for a store that is away, in milliseconds. To come back again
 * and again, with longer and longer pauses, would cost them more, and the edge as well.
 */
export const STORE_PATIENCE_MS = 4_000;

/** Lets those who need the store wait for a while until it is back. */
export class StoreWait {
  readonly #isAvailable: () => boolean;
  readonly #waiting = new Set<() => void>();

  constructor(isAvailable: () => boolean) {
    this.#isAvailable = isAvailable;
  }

  /** The store is back. */
  returned(): void {
    for (const go of [...this.#waiting]) go();
  }

  /** @throws PlenaryError `store_unavailable` when the store is not there within {@link STORE_PATIENCE_MS} */
  async untilAvailable(): Promise<void> {
    if (this.#isAvailable()) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(go);
        resolve();
      };
      const timer = after(STORE_PATIENCE_MS, go);
      this.#waiting.add(go);
    });
    if (!this.#isAvailable()) throw new PlenaryError('store_unavailable');
  }
}
