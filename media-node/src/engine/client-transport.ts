import type { types } from 'mediasoup';
import { PlenaryError, TRANSPORT_ID, toPlenaryError, guardCallback } from '@plenary/cluster';
import type {
  DtlsParameters,
  IceParameters,
  MediaKind,
  MediaTraffic,
  RtpCapabilities,
  RtpParameters,
  TransportId,
  TransportOffer,
} from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { AtIntervals } from './at-intervals.ts';
import { callMediasoup, noteCall } from './calls.ts';
import { offeredCandidates } from './candidates.ts';
import type { KeyFrames } from './key-frames.ts';
import { LayerStart } from './layer-start.ts';
import { MediaConsumer } from './media-consumer.ts';
import type { ConsumerEvents } from './media-consumer.ts';
import { MediaProducer } from './media-producer.ts';
import { patientWithBaseLayer } from './rtp-parameters.ts';

/**
 * Chromium ignores a key frame request within 300 ms of one that it followed, and mediasoup repeats a request only
 * after a second. So a request that follows another too closely is delayed until it will be followed, with 70 ms
 * added for a late previous request: when two people join shortly after one another, the second waits this long at
 * most, not a whole second.
 */
export const KEY_FRAME_REQUEST_DELAY_MS = 370;

/**
 * Interval between key frame requests after path changes, in milliseconds. A client may switch between two paths with
 * each packet, and each switch causes one call into the worker per video that it sends or receives.
 */
const KEY_FRAMES_INTERVAL_MS = 500;

/** Limit of every receiving transport, in bits per second: a camera in three layers, a screen, and audio fit in. */
export const MAX_INCOMING_BITRATE = 12_000_000;

export type IceChange = 'connected' | 'disconnected';

/** A WebRTC transport of a peer. */
export class ClientTransport {
  readonly id: TransportId;
  readonly #transport: types.WebRtcTransport;
  readonly #metrics: NodeMetrics;
  readonly #keyFrames: KeyFrames;
  readonly #consumers = new Set<MediaConsumer>();
  readonly #videoConsumers = new Set<types.Consumer>();
  readonly #videoProducerIds = new Set<string>();
  readonly #layerStart: LayerStart;
  readonly #keyFrameRequests = new AtIntervals(KEY_FRAMES_INTERVAL_MS, () => this.#requestKeyFrames());
  readonly #clientAddresses: () => readonly string[];
  #connecting: Promise<void> | undefined;
  #bounding: Promise<void> | undefined;

  constructor(
    transport: types.WebRtcTransport,
    metrics: NodeMetrics,
    keyFrames: KeyFrames,
    clientAddresses: () => readonly string[],
    onIceChange: (transport: ClientTransport, change: IceChange) => void,
  ) {
    this.#clientAddresses = clientAddresses;
    this.id = TRANSPORT_ID.parse(transport.id);
    this.#transport = transport;
    this.#metrics = metrics;
    this.#keyFrames = keyFrames;
    metrics.transports.inc({ kind: 'webrtc' });
    this.#layerStart = new LayerStart(
      () => [...this.#consumers].map(({ layers }) => layers),
      (error) => metrics.errors.inc({ where: 'consumer.layers', code: toPlenaryError(error).code }),
    );
    transport.observer.once(
      'close',
      guardCallback('mediasoup', () => {
        this.#layerStart.stop();
        this.#keyFrameRequests.stop();
        metrics.transports.dec({ kind: 'webrtc' });
      }),
    );
    // Packets flow from here on: DTLS comes last, because it needs a path that ICE has found.
    transport.on(
      'dtlsstatechange',
      guardCallback('mediasoup', (state) => {
        if (state === 'connected') this.#layerStart.begin();
      }),
    );
    let hasPath = false;
    transport.on(
      'iceselectedtuplechange',
      guardCallback('mediasoup', () => {
        if (hasPath) this.#keyFrameRequests.request();
        hasPath = true;
      }),
    );
    transport.on(
      'icestatechange',
      guardCallback('mediasoup', (state) => {
        if (state === 'connected' || state === 'completed') onIceChange(this, 'connected');
        else if (state === 'disconnected') onIceChange(this, 'disconnected');
      }),
    );
  }

  get closed(): boolean {
    return this.#transport.closed;
  }

  /** Returns what the client needs to open its side. One of mediasoup's five fingerprints suffices and is shorter. */
  offer(): TransportOffer {
    const { role, fingerprints } = this.#transport.dtlsParameters;
    return {
      id: this.id,
      iceParameters: this.#transport.iceParameters,
      iceCandidates: offeredCandidates(this.#transport.iceCandidates, this.#clientAddresses()),
      dtlsParameters: {
        role,
        fingerprints: fingerprints.filter((fingerprint) => fingerprint.algorithm === 'sha-256'),
      },
    };
  }

  /** Whether the client's parameters have arrived; a repeat takes no call. */
  get isConnecting(): boolean {
    return this.#connecting !== undefined;
  }

  /**
   * Connects once; a repeat waits for the first call, since mediasoup refuses a second. @throws PlenaryError
   * `invalid_media_parameters`
   */
  connect(dtlsParameters: DtlsParameters): Promise<void> {
    this.#connecting ??= callMediasoup(
      this.#metrics,
      'transport.connect',
      () => this.#transport.connect({ dtlsParameters }),
      'invalid_media_parameters',
    ).catch((error: unknown) => {
      this.#connecting = undefined;
      throw error;
    });
    return this.#connecting;
  }

  /** Returns RTP bytes so far. @throws PlenaryError `media_lost` */
  async traffic(): Promise<MediaTraffic> {
    const [stats] = await callMediasoup(
      this.#metrics,
      'transport.getStats',
      () => this.#transport.getStats(),
      'media_lost',
    );
    return { sentBytes: stats?.rtpBytesSent ?? 0, receivedBytes: stats?.rtpBytesReceived ?? 0 };
  }

  /** Returns RTP bytes sent for the first time and retransmitted bytes so far. @throws PlenaryError `media_lost` */
  async receiverBytes(): Promise<{
    readonly sent: number;
    readonly retransmitted: number;
  }> {
    const [stats] = await callMediasoup(
      this.#metrics,
      'transport.getStats',
      () => this.#transport.getStats(),
      'media_lost',
    );
    const { rtpBytesSent = 0, rtxBytesSent = 0 } = stats ?? {};
    return { sent: rtpBytesSent, retransmitted: rtxBytesSent };
  }

  /** Returns all bytes received so far, also those that belong to no producer. @throws PlenaryError `media_lost` */
  async receivedBytes(): Promise<number> {
    const [stats] = await callMediasoup(
      this.#metrics,
      'transport.getStats',
      () => this.#transport.getStats(),
      'media_lost',
    );
    return stats?.bytesReceived ?? 0;
  }

  /** @throws PlenaryError `media_lost` */
  async restartIce(): Promise<IceParameters> {
    return callMediasoup(
      this.#metrics,
      'transport.restartIce',
      () => this.#transport.restartIce(),
      'media_lost',
    );
  }

  /**
   * Creates the home producer of a track. The transport's incoming bitrate is bounded by a call of its own, for which
   * mediasoup has no option; that call is made with the first producer, so that a join does not pay for it.
   * @throws PlenaryError `invalid_media_parameters`, `media_lost`
   */
  async produce(
    track: { readonly kind: MediaKind; readonly rtpParameters: RtpParameters; readonly paused: boolean },
    onClosed: (cause: 'closed' | 'transport_closed') => void,
  ): Promise<MediaProducer> {
    this.#bounding ??= this.#setMaxIncomingBitrate();
    const bounding = this.#bounding;
    const producing = callMediasoup(
      this.#metrics,
      'transport.produce',
      () =>
        this.#transport.produce({
          ...track,
          rtpParameters: patientWithBaseLayer(track),
          keyFrameRequestDelay: KEY_FRAME_REQUEST_DELAY_MS,
        }),
      'invalid_media_parameters',
    );
    const [bounded, produced] = await Promise.allSettled([bounding, producing]);
    if (produced.status === 'rejected') throw produced.reason;
    const { id, kind } = produced.value;
    if (kind === 'video') this.#videoProducerIds.add(id);
    const producer = new MediaProducer(produced.value, 'home', this.#metrics, (cause) => {
      this.#videoProducerIds.delete(id);
      onClosed(cause);
    });
    // A producer that was being created while the transport closed would otherwise stay open.
    if (this.#transport.closed || bounded.status === 'rejected') {
      producer.close();
      throw bounded.status === 'rejected' ? bounded.reason : new PlenaryError('media_lost');
    }
    return producer;
  }

  /** @throws PlenaryError `cannot_consume`, `track_not_found`, `media_lost` */
  async consume(
    request: {
      readonly producerId: string;
      readonly rtpCapabilities: RtpCapabilities;
      readonly paused: boolean;
    },
    on: ConsumerEvents,
  ): Promise<MediaConsumer> {
    const { producerId, rtpCapabilities, paused } = request;
    const consumer = await callMediasoup(
      this.#metrics,
      'transport.consume',
      () => this.#transport.consume({ producerId, rtpCapabilities, paused }),
      'cannot_consume',
      'track_not_found',
    );
    const endVideo = consumer.kind === 'video' ? this.#addVideoConsumer(consumer) : () => undefined;
    const wrapped = new MediaConsumer(consumer, 'peer', this.#metrics, {
      ...on,
      closed: (cause) => {
        this.#consumers.delete(wrapped);
        endVideo();
        on.closed(cause);
      },
      begins: () => {
        this.#layerStart.begin();
      },
    });
    this.#consumers.add(wrapped);
    if (this.#transport.closed) {
      wrapped.close();
      throw new PlenaryError('media_lost');
    }
    return wrapped;
  }

  close(): void {
    if (this.#transport.closed) return;
    noteCall(this.#metrics, 'transport.close');
    this.#transport.close();
  }

  /** Requests key frames after a path change: packets in flight on the previous path are lost, in both directions. */
  #requestKeyFrames(): void {
    for (const producerId of this.#videoProducerIds) this.#keyFrames.requestForTrack(producerId);
    for (const consumer of this.#videoConsumers) if (!consumer.paused) this.#keyFrames.requestFor(consumer);
  }

  #addVideoConsumer(consumer: types.Consumer): () => void {
    const forget = this.#keyFrames.add(consumer);
    this.#videoConsumers.add(consumer);
    return () => {
      forget();
      this.#videoConsumers.delete(consumer);
    };
  }

  async #setMaxIncomingBitrate(): Promise<void> {
    try {
      await callMediasoup(
        this.#metrics,
        'transport.setMaxIncomingBitrate',
        () => this.#transport.setMaxIncomingBitrate(MAX_INCOMING_BITRATE),
        'media_lost',
      );
    } catch (error) {
      this.#bounding = undefined;
      throw error;
    }
  }
}
