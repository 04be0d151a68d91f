import type { types } from 'mediasoup';
import type { NodeMetrics } from '../metrics.ts';
import { guardCallback, toPlenaryError } from '@plenary/cluster';
import { changeConsumer } from './calls.ts';

/** The part of a consumer that is used here. */
export type VideoConsumer = Pick<
  types.Consumer,
  'kind' | 'producerId' | 'type' | 'currentLayers' | 'paused' | 'requestKeyFrame'
>;

/**
 * Requests key frames after a client's path was lost for a while. The packets lost then are not retransmitted any
 * more, so nothing decodes until a key frame comes, and browsers request one only after three seconds without a
 * picture.
 */
export class KeyFrames {
  readonly #byProducer = new Map<string, Set<VideoConsumer>>();
  readonly #metrics: NodeMetrics;

  constructor(metrics: NodeMetrics) {
    this.#metrics = metrics;
  }

  /**
   * Adds a consumer of the router, of a viewer or of a pipe; audio has no key frames. Returns the function that
   * removes it.
   */
  add(consumer: VideoConsumer): () => void {
    const { kind, producerId } = consumer;
    if (kind === 'audio') return () => undefined;
    const consumers = this.#byProducer.get(producerId) ?? new Set();
    this.#byProducer.set(producerId, consumers.add(consumer));
    return () => {
      consumers.delete(consumer);
      if (consumers.size === 0 && this.#byProducer.get(producerId) === consumers)
        this.#byProducer.delete(producerId);
    };
  }

  /**
   * Requests a key frame from the publisher for every layer that somebody receives, once each: a pipe carries all
   * layers.
   */
  requestForTrack(producerId: string): void {
    const consumers = [...(this.#byProducer.get(producerId) ?? [])].filter(({ paused }) => !paused);
    const pipe = consumers.find(({ type }) => type === 'pipe');
    const perLayer = new Map(consumers.map((each) => [each.currentLayers?.spatialLayer, each]));
    for (const consumer of pipe === undefined ? perLayer.values() : [pipe]) this.requestFor(consumer);
  }

  /** Requests a key frame for the layer that one consumer receives. */
  requestFor(consumer: VideoConsumer): void {
    changeConsumer(this.#metrics, 'consumer.requestKeyFrame', () => consumer.requestKeyFrame()).catch(
      guardCallback('background', (error: unknown) => {
        this.#metrics.errors.inc({ where: 'consumer.keyFrame', code: toPlenaryError(error).code });
      }),
    );
  }
}
