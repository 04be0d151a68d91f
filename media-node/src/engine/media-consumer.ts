import type { types } from 'mediasoup';
import { CONSUMER_ID, TOP_SPATIAL_LAYER, toPlenaryError } from '@plenary/cluster';
import type { ConsumerId, MediaKind, PreferredLayers, RtpParameters } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { callMediasoup, noteCall } from './calls.ts';
import { LayerStart } from './layer-start.ts';
import { PauseSwitch } from './pause-switch.ts';
import { toRtpParameters } from './rtp-parameters.ts';

export interface ConsumerEvents {
  /** Called once; `producer_closed` when the track ended or its pipe broke. */
  readonly closed: (cause: 'closed' | 'producer_closed') => void;
  /** The publisher paused or resumed. */
  readonly producerPaused?: (paused: boolean) => void;
}

/** A consumer: of a peer, or the one that sends a track into a pipe. */
export class MediaConsumer {
  readonly id: ConsumerId;
  readonly kind: MediaKind;
  readonly rtpParameters: RtpParameters;
  readonly #consumer: types.Consumer;
  readonly #metrics: NodeMetrics;
  readonly #pause: PauseSwitch;
  readonly #start: LayerStart | undefined;
  #preferredLayers: PreferredLayers = { spatialLayer: TOP_SPATIAL_LAYER };

  constructor(consumer: types.Consumer, use: 'peer' | 'pipe', metrics: NodeMetrics, on: ConsumerEvents) {
    this.id = CONSUMER_ID.parse(consumer.id);
    this.kind = consumer.kind;
    this.rtpParameters = toRtpParameters(consumer.rtpParameters);
    this.#consumer = consumer;
    this.#metrics = metrics;
    this.#pause = new PauseSwitch(consumer.paused, (paused) =>
      callMediasoup(
        metrics,
        paused ? 'consumer.pause' : 'consumer.resume',
        () => (paused ? consumer.pause() : consumer.resume()),
        'media_lost',
      ),
    );
    if (use === 'peer' && consumer.type === 'simulcast') this.#start = this.#layerStart();
    const gauge = use === 'peer' ? metrics.consumers : metrics.pipeConsumers;
    gauge.inc();
    let cause: 'closed' | 'producer_closed' = 'closed';
    // mediasoup emits `@producerclose` before the observer's `close`, and the public `producerclose` in between.
    consumer.once('producerclose', () => {
      cause = 'producer_closed';
    });
    consumer.observer.once('close', () => {
      this.#start?.stop();
      gauge.dec();
      on.closed(cause);
    });
    consumer.on('producerpause', () => {
      on.producerPaused?.(true);
    });
    consumer.on('producerresume', () => {
      on.producerPaused?.(false);
      this.begin();
    });
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
   * Pauses or resumes; the state it has already costs no call. On resume the worker asks for the key frame by itself.
   * @throws PlenaryError `media_lost`
   */
  async setPaused(paused: boolean): Promise<void> {
    await this.#pause.set(paused);
    this.begin();
  }

  /** From now on something may be sent: it was resumed, or its transport connected. */
  begin(): void {
    if (!this.#consumer.paused) this.#start?.begin();
  }

  /** @throws PlenaryError `media_lost` */
  async setPreferredLayers(layers: PreferredLayers): Promise<void> {
    this.#preferredLayers = layers;
    await this.#tellLayers(layers);
  }

  #layerStart(): LayerStart {
    const consumer = this.#consumer;
    const preferred = (): PreferredLayers => this.#preferredLayers;
    return new LayerStart(
      {
        get closed() {
          return consumer.closed;
        },
        get isOn() {
          return !consumer.paused && !consumer.producerPaused;
        },
        get isWhole() {
          const { currentLayers, preferredLayers } = consumer;
          return (
            currentLayers !== undefined && currentLayers.temporalLayer === preferredLayers?.temporalLayer
          );
        },
        get preferredLayers() {
          return preferred();
        },
        setPreferredLayers: (layers) => this.#tellLayers(layers),
      },
      (error) => this.#metrics.errors.inc({ where: 'consumer.layers', code: toPlenaryError(error).code }),
    );
  }

  async #tellLayers(layers: PreferredLayers): Promise<void> {
    await callMediasoup(
      this.#metrics,
      'consumer.setPreferredLayers',
      () => this.#consumer.setPreferredLayers(layers),
      'invalid_media_parameters',
    );
  }

  /** @param priority - 1 to 255; the higher, the sooner it gets bandwidth */
  async setPriority(priority: number): Promise<void> {
    await callMediasoup(
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
}
