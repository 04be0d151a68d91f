import { entry, after } from '@plenary/cluster';
/**
 * When the worker is to look at the layers again, in milliseconds after a consumer began. Of four frames one is of the base
 * layer, so that at 30 frames a second it has come by the second time, and at 10 by the last.
 */
export const LOOK_AGAIN_MS: readonly number[] = [100, 200, 450];
/** Looks that are due within so many milliseconds are one: a join begins many consumers one after the other. */
export const LOOK_EVERY_MS = 50;

/** A consumer of several layers, as far as its start needs it. */
export interface StartingConsumer {
  /** Whether it could send more than it does: its track comes, nobody paused it, and some frames of it are left out. */
  readonly isStarved: boolean;
  /** Has the worker choose the layers of all consumers of the transport again, at once. @throws PlenaryError */
  chooseAgain(): Promise<void>;
}

/**
 * Gets the consumers of a transport to their pictures soon after they began. The worker chooses layers by what each of them
 * brought in the last seconds. A track that comes out of a pipe is a few packets old when it is first looked at: if the base
 * layer is not among them yet, nothing is sent, and if the others are not, a quarter of the frames. By itself the worker
 * looks again a second later, and the key frames meanwhile pass by (SPEC DM5).
 */
export class LayerStart {
  readonly #consumers: () => readonly StartingConsumer[];
  readonly #onFault: (error: unknown) => void;
  readonly #looks = new Map<number, NodeJS.Timeout>();

  /**
   * @param consumers - those of the transport
   * @param onFault - told of a call that failed; it is not made again
   */
  constructor(consumers: () => readonly StartingConsumer[], onFault: (error: unknown) => void) {
    this.#consumers = consumers;
    this.#onFault = onFault;
  }

  /** A consumer begins now: it was made, or resumed, or its transport connected. */
  begin(): void {
    const nowMs = performance.now();
    for (const delayMs of LOOK_AGAIN_MS) {
      const slot = Math.ceil((nowMs + delayMs) / LOOK_EVERY_MS);
      if (this.#looks.has(slot)) continue;
      const timer = after(slot * LOOK_EVERY_MS - nowMs, () => {
        this.#looks.delete(slot);
        this.#check();
      });
      this.#looks.set(slot, timer);
    }
  }

  stop(): void {
    for (const timer of this.#looks.values()) clearTimeout(timer);
    this.#looks.clear();
  }

  #check(): void {
    this.#consumers()
      .find(({ isStarved }) => isStarved)
      ?.chooseAgain()
      .catch(entry('background', this.#onFault));
  }
}
