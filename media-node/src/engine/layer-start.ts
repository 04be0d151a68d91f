import type { PreferredLayers } from '@plenary/cluster';

/**
 * When the worker is asked to look again, in milliseconds after a consumer began. By the first time a key frame that was
 * asked for at once has come, by the second one that had to wait until the sender hears of it.
 */
export const LOOK_AGAIN_MS: readonly number[] = [100, 400];

/** A consumer of several layers, as far as its start needs it. */
export interface LayeredConsumer {
  readonly closed: boolean;
  /** Whether anything is to be sent: neither the viewer nor the publisher has paused it. */
  readonly isOn: boolean;
  /** Whether it sends every frame of some layer. */
  readonly isWhole: boolean;
  readonly preferredLayers: PreferredLayers;
  setPreferredLayers(layers: PreferredLayers): Promise<void>;
}

/**
 * Gets a consumer of several layers to its picture soon after it began. The worker chooses layers by what each one brought in
 * the last seconds. A track that comes out of a pipe is a few packets old when it is first looked at: if the base layer is
 * not among them yet, nothing is sent, and if the others are not, a quarter of the frames. The worker looks again a second
 * later, and the key frames meanwhile pass by. Whatever changes the preferred layers makes it look at once.
 */
export class LayerStart {
  readonly #consumer: LayeredConsumer;
  readonly #onFault: (error: unknown) => void;
  #timers: NodeJS.Timeout[] = [];

  /** @param onFault - told of a call that failed although the consumer is open */
  constructor(consumer: LayeredConsumer, onFault: (error: unknown) => void) {
    this.#consumer = consumer;
    this.#onFault = onFault;
  }

  /** The consumer begins now: it was resumed, or its transport connected. */
  begin(): void {
    this.stop();
    this.#timers = LOOK_AGAIN_MS.map((delayMs) => setTimeout(() => this.#look(), delayMs));
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }

  #look(): void {
    const { closed, isOn, isWhole, preferredLayers } = this.#consumer;
    if (closed || !isOn || isWhole) return;
    // Another temporal layer, and back: another spatial one would cost a key frame. A track without temporal layers has its
    // base layer from the first packet on, and needs none of this. Both are sent before either is answered, so that
    // nothing else comes between them.
    const other = { ...preferredLayers, temporalLayer: preferredLayers.temporalLayer === 0 ? 1 : 0 };
    const calls = [other, preferredLayers].map((layers) => this.#consumer.setPreferredLayers(layers));
    Promise.all(calls).catch((error: unknown) => {
      if (!this.#consumer.closed) this.#onFault(error);
    });
  }
}
