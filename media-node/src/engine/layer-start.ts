import { guardCallback, after } from '@plenary/cluster';
/**
 * When the worker is asked to choose layers again, in milliseconds after a consumer began. One of four frames belongs
 * to the base layer, so at 30 frames per second it has arrived by the second time, and at 10 by the last.
 */
export const CHOOSE_AGAIN_MS: readonly number[] = [100, 200, 450];
/**
 * Requests that are due within this many milliseconds are combined: a join begins many consumers one after the other.
 */
export const MIN_INTERVAL_MS = 50;

/** The part of a consumer with several layers that its start uses. */
export interface StartingConsumer {
  /**
   * Whether it could send more than it does: packets of its track arrive, nobody paused it, and some of its frames
   * are left out.
   */
  readonly isStarved: boolean;
  /** Makes the worker choose the layers of all consumers of the transport again, at once. @throws PlenaryError */
  chooseAgain(): Promise<void>;
}

/**
 * Brings the consumers of a transport to their full picture soon after they began. The worker chooses layers by the
 * packets of the last seconds. A track from a pipe is a few packets old at its first choice: without a base layer
 * among them nothing is sent, and without the other layers only a quarter of the frames. The worker itself chooses
 * again only a second later, and the key frames meanwhile are missed (SPEC DM5).
 */
export class LayerStart {
  readonly #consumers: () => readonly StartingConsumer[];
  readonly #onFault: (error: unknown) => void;
  readonly #timers = new Map<number, NodeJS.Timeout>();

  /**
   * @param consumers - the consumers of the transport
   * @param onFault - receives a failed call; it is not repeated
   */
  constructor(consumers: () => readonly StartingConsumer[], onFault: (error: unknown) => void) {
    this.#consumers = consumers;
    this.#onFault = onFault;
  }

  /** A consumer begins now: it was created or resumed, or its transport connected. */
  begin(): void {
    const nowMs = performance.now();
    for (const delayMs of CHOOSE_AGAIN_MS) {
      const slot = Math.ceil((nowMs + delayMs) / MIN_INTERVAL_MS);
      if (this.#timers.has(slot)) continue;
      const timer = after(slot * MIN_INTERVAL_MS - nowMs, () => {
        this.#timers.delete(slot);
        this.#check();
      });
      this.#timers.set(slot, timer);
    }
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #check(): void {
    this.#consumers()
      .find(({ isStarved }) => isStarved)
      ?.chooseAgain()
      .catch(guardCallback('background', this.#onFault));
  }
}
