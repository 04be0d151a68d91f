import type { types } from 'mediasoup';
import { TOP_SPATIAL_LAYER } from '@plenary/cluster';
import type { PreferredLayers } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { changeConsumer } from './calls.ts';
import type { StartingConsumer } from './layer-start.ts';

/** Which layers of a track a viewer gets. The worker chooses among those that the viewer prefers at best. */
export class ConsumerLayers implements StartingConsumer {
  readonly #consumer: types.Consumer;
  readonly #metrics: NodeMetrics;
  #preferred: PreferredLayers = { spatialLayer: TOP_SPATIAL_LAYER };

  constructor(consumer: types.Consumer, metrics: NodeMetrics) {
    this.#consumer = consumer;
    this.#metrics = metrics;
  }

  /** Whether there are several that the worker chooses among. */
  get areChosen(): boolean {
    return this.#consumer.type === 'simulcast';
  }

  get isStarved(): boolean {
    const { closed, paused, producerPaused, score, currentLayers, preferredLayers } = this.#consumer;
    if (!this.areChosen || closed || paused || producerPaused) return false;
    const isFed = score.producerScores.some((ofLayer) => ofLayer > 0);
    return isFed && currentLayers?.temporalLayer !== preferredLayers?.temporalLayer;
  }

  /** @throws PlenaryError `media_lost`, `invalid_media_parameters` */
  async prefer(layers: PreferredLayers): Promise<void> {
    this.#preferred = layers;
    await this.#tell(layers);
  }

  /**
   * Prefers another temporal layer, and back: the worker chooses at once when something changes. Another spatial layer
   * would cost a key frame; a track without temporal layers has its base layer from the first packet on.
   */
  async chooseAgain(): Promise<void> {
    const layers = this.#preferred;
    const other = { ...layers, temporalLayer: layers.temporalLayer === 0 ? 1 : 0 };
    // Neither waits for the other, so that nothing else comes between them.
    await Promise.all([this.#tell(other), this.#tell(layers)]);
  }

  async #tell(layers: PreferredLayers): Promise<void> {
    await changeConsumer(
      this.#metrics,
      'consumer.setPreferredLayers',
      () => this.#consumer.setPreferredLayers(layers),
      'invalid_media_parameters',
    );
  }
}
