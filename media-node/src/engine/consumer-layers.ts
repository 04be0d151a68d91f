import type { types } from 'mediasoup';
import { TOP_SPATIAL_LAYER } from '@plenary/cluster';
import type { PreferredLayers } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { changeConsumer } from './calls.ts';
import type { StartingConsumer } from './layer-start.ts';

/** Sets the layers of a track that a viewer prefers at best; the worker chooses among those. */
export class ConsumerLayers implements StartingConsumer {
  readonly #consumer: types.Consumer;
  readonly #metrics: NodeMetrics;
  #preferred: PreferredLayers = { spatialLayer: TOP_SPATIAL_LAYER };

  constructor(consumer: types.Consumer, metrics: NodeMetrics) {
    this.#consumer = consumer;
    this.#metrics = metrics;
  }

  /** Whether the track has several layers for the worker to choose from. */
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
    await this.#setPreferredLayers(layers);
  }

  /**
   * Prefers another temporal layer and then the previous one again, because the worker chooses at once when something
   * changes. Another spatial layer would cost a key frame; a track without temporal layers has its base layer from
   * the first packet on.
   */
  async chooseAgain(): Promise<void> {
    const layers = this.#preferred;
    const other = { ...layers, temporalLayer: layers.temporalLayer === 0 ? 1 : 0 };
    // Both calls are sent without waiting, so that no other call comes between them.
    await Promise.all([this.#setPreferredLayers(other), this.#setPreferredLayers(layers)]);
  }

  async #setPreferredLayers(layers: PreferredLayers): Promise<void> {
    await changeConsumer(
      this.#metrics,
      'consumer.setPreferredLayers',
      () => this.#consumer.setPreferredLayers(layers),
      'invalid_media_parameters',
    );
  }
}
