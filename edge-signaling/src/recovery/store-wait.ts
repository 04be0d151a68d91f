import { PlenaryError, after } from '@plenary/cluster';

/**
 * How long a request of a peer in a meeting waits at the edge for a store that is down, in milliseconds. Retries by the client,
 * with growing pauses, would cost both the client and the edge more.
 */
export const STORE_PATIENCE_MS = 4_000;

/** Delays requests that need the store until it is back, for a limited time. */
export class StoreWait {
  readonly #isAvailable: () => boolean;
  readonly #waiting = new Set<() => void>();

  constructor(isAvailable: () => boolean) {
    this.#isAvailable = isAvailable;
  }

  /** Ends all waits, because the store is back. */
  returned(): void {
    for (const go of [...this.#waiting]) go();
  }

  /** @throws PlenaryError `store_unavailable` if the store is not available within {@link STORE_PATIENCE_MS} */
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
