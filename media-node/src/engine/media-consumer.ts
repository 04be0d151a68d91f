import type { types } from 'mediasoup';
import { CONSUMER_ID, guardCallback } from '@plenary/cluster';
import type { ConsumerId, MediaKind, PreferredLayers, RtpParameters } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { changeConsumer, noteCall } from './calls.ts';
import { ConsumerLayers } from './consumer-layers.ts';
import { PauseSwitch } from './pause-switch.ts';
import { toRtpParameters } from './rtp-parameters.ts';

export interface ConsumerEvents {
  /** Called once; `producer_closed` when the track ended or its pipe broke. */
  readonly closed: (cause: 'closed' | 'producer_closed') => void;
  /** The publisher paused or resumed. */
  readonly producerPaused?: (paused: boolean) => void;
  /** Some of its layers may be sent from now on: it was created, or resumed by its viewer or the publisher. */
  readonly begins?: () => void;
}

/** A consumer of a peer, or one that sends a track into a pipe. Changes do nothing after its end. */
export class MediaConsumer {
  readonly id: ConsumerId;
  readonly kind: MediaKind;
  readonly rtpParameters: RtpParameters;
  readonly layers: ConsumerLayers;
  readonly #consumer: types.Consumer;
  readonly #metrics: NodeMetrics;
  readonly #on: ConsumerEvents;
  readonly #pause: PauseSwitch;

  constructor(consumer: types.Consumer, use: 'peer' | 'pipe', metrics: NodeMetrics, on: ConsumerEvents) {
    this.id = CONSUMER_ID.parse(consumer.id);
    this.kind = consumer.kind;
    this.rtpParameters = toRtpParameters(consumer.rtpParameters);
    this.layers = new ConsumerLayers(consumer, metrics);
    this.#consumer = consumer;
    this.#metrics = metrics;
    this.#on = on;
    this.#pause = new PauseSwitch(consumer.paused, (paused) =>
      changeConsumer(metrics, paused ? 'consumer.pause' : 'consumer.resume', () =>
        paused ? consumer.pause() : consumer.resume(),
      ),
    );
    const gauge = use === 'peer' ? metrics.consumers : metrics.pipeConsumers;
    gauge.inc();
    let cause: 'closed' | 'producer_closed' = 'closed';
    // mediasoup emits `@producerclose` before the observer's `close`, and the public `producerclose` in between.
    consumer.once(
      'producerclose',
      guardCallback('mediasoup', () => {
        cause = 'producer_closed';
      }),
    );
    consumer.observer.once(
      'close',
      guardCallback('mediasoup', () => {
        gauge.dec();
        on.closed(cause);
      }),
    );
    consumer.on(
      'producerpause',
      guardCallback('mediasoup', () => {
        on.producerPaused?.(true);
      }),
    );
    consumer.on(
      'producerresume',
      guardCallback('mediasoup', () => {
        on.producerPaused?.(false);
        this.#begin();
      }),
    );
    this.#begin();
  }

  get closed(): boolean {
    return this.#consumer.closed;
  }

  get paused(): boolean {
    return this.#consumer.paused;
  }

  get producerPaused(): boolean {
    return this.#consumer.producerPaused;
  }

  /**
   * Pauses or resumes; the current state costs no call. On resume the worker itself requests the key frame.
   * @throws PlenaryError `media_lost`
   */
  async setPaused(paused: boolean): Promise<void> {
    await this.#pause.set(paused);
    this.#begin();
  }

  /** @throws PlenaryError `media_lost`, `invalid_media_parameters` */
  setPreferredLayers(layers: PreferredLayers): Promise<void> {
    return this.layers.prefer(layers);
  }

  /** @param priority - 1 to 255; the higher, the sooner it gets bandwidth */
  async setPriority(priority: number): Promise<void> {
    await changeConsumer(
      this.#metrics,
      'consumer.setPriority',
      () => this.#consumer.setPriority(priority),
      'invalid_media_parameters',
    );
  }

  close(): void {
    if (this.#consumer.closed) return;
    noteCall(this.#metrics, 'consumer.close');
    this.#consumer.close();
  }

  #begin(): void {
    if (this.layers.areChosen && !this.#consumer.paused && !this.#consumer.producerPaused)
      this.#on.begins?.();
  }
}
