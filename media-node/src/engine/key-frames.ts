import type { types } from 'mediasoup';
import type { NodeMetrics } from '../metrics.ts';
import { entry, toPlenaryError } from '@plenary/cluster';
import { changeConsumer } from './calls.ts';

/** What of a consumer matters here. */
export type VideoConsumer = Pick<
  types.Consumer,
  'kind' | 'producerId' | 'type' | 'currentLayers' | 'paused' | 'requestKeyFrame'
>;

/**
 * Asks for key frames after a client's path was lost for a while. What was lost is not sent again by then, so that nothing
 * decodes until somebody asks, and browsers do so only after three seconds without a picture.
 */
export class KeyFrames {
  readonly #byProducer = new Map<string, Set<VideoConsumer>>();
  readonly #metrics: NodeMetrics;

  constructor(metrics: NodeMetrics) {
    this.#metrics = metrics;
  }

  /** A consumer of the router, of a viewer or of a pipe; sound has no key frames. Returns the function that forgets it. */
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

  /** Asks the publisher, for every layer that somebody gets, once each: a pipe carries all of them. */
  askForTrack(producerId: string): void {
    const consumers = [...(this.#byProducer.get(producerId) ?? [])].filter(({ paused }) => !paused);
    const pipe = consumers.find(({ type }) => type === 'pipe');
    const perLayer = new Map(consumers.map((each) => [each.currentLayers?.spatialLayer, each]));
    for (const consumer of pipe === undefined ? perLayer.values() : [pipe]) this.askFor(consumer);
  }

  /** Asks for what one consumer gets. */
  askFor(consumer: VideoConsumer): void {
    changeConsumer(this.#metrics, 'consumer.requestKeyFrame', () => consumer.requestKeyFrame()).catch(
      entry('background', (error: unknown) => {
        this.#metrics.errors.inc({ where: 'consumer.keyFrame', code: toPlenaryError(error).code });
      }),
    );
  }
}
