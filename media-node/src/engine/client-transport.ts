import type { types } from 'mediasoup';
import { PlenaryError, TRANSPORT_ID, toPlenaryError, entry } from '@plenary/cluster';
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
 * Chromium ignores a request for a key frame that comes within 300 ms of one that it obeyed, and mediasoup asks again
 * only after a second. So a request that comes too soon after the last one is held back until it will be heard, also when
 * the last one was late on its way by some 70 ms: of two people who join shortly after one another, the second then waits
 * for this at most, not for a whole second.
 */
export const KEY_FRAME_REQUEST_DELAY_MS = 370;

/**
 * A client may go to and fro between two paths with each packet; what it is asked for each time, and what is asked of those whom it
 * sees, is a call of the worker for each video.
 */
const PICTURES_EVERY_MS = 500;

/** Every transport that takes media in is bounded: camera in three layers, screen, and audio fit in. */
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
  readonly #pictures = new AtIntervals(PICTURES_EVERY_MS, () => this.#askForPictures());
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
      entry('mediasoup', () => {
        this.#layerStart.stop();
        this.#pictures.stop();
        metrics.transports.dec({ kind: 'webrtc' });
      }),
    );
    // Media passes from here on: DTLS comes last, since it needs a path that ICE has found.
    transport.on(
      'dtlsstatechange',
      entry('mediasoup', (state) => {
        if (state === 'connected') this.#layerStart.begin();
      }),
    );
    let hasPath = false;
    transport.on(
      'iceselectedtuplechange',
      entry('mediasoup', () => {
        if (hasPath) this.#pictures.ask();
        hasPath = true;
      }),
    );
    transport.on(
      'icestatechange',
      entry('mediasoup', (state) => {
        if (state === 'connected' || state === 'completed') onIceChange(this, 'connected');
        else if (state === 'disconnected') onIceChange(this, 'disconnected');
      }),
    );
  }

  get closed(): boolean {
    return this.#transport.closed;
  }

  /** What the client needs to open its side. One fingerprint of the five that mediasoup has is enough, and is shorter. */
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

  /** Whether it was told how to connect: to be told once more takes nothing. */
  get isConnecting(): boolean {
    return this.#connecting !== undefined;
  }

  /** Connects once; a repeat waits for the first, since mediasoup refuses a second. @throws PlenaryError `invalid_media_parameters` */
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

  /** Bytes of RTP so far. @throws PlenaryError `media_lost` */
  async traffic(): Promise<MediaTraffic> {
    const [stats] = await callMediasoup(
      this.#metrics,
      'transport.getStats',
      () => this.#transport.getStats(),
      'media_lost',
    );
    return { sentBytes: stats?.rtpBytesSent ?? 0, receivedBytes: stats?.rtpBytesReceived ?? 0 };
  }

  /** Bytes of media that were sent so far, and of what was sent again. @throws PlenaryError `media_lost` */
  async receiverBytes(): Promise<{
    readonly media: number;
    readonly again: number;
  }> {
    const [stats] = await callMediasoup(
      this.#metrics,
      'transport.getStats',
      () => this.#transport.getStats(),
      'media_lost',
    );
    const { rtpBytesSent = 0, rtxBytesSent = 0 } = stats ?? {};
    return { media: rtpBytesSent, again: rtxBytesSent };
  }

  /** Everything that came so far, in bytes, also what belongs to no producer. @throws PlenaryError `media_lost` */
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
   * Creates the home producer of a track. The transport's incoming bitrate is bounded by a call of its own, which mediasoup
   * offers no option for; it goes along with the first producer, so that a join does not pay for it.
   * @throws PlenaryError `invalid_media_parameters`, `media_lost`
   */
  async produce(
    track: { readonly kind: MediaKind; readonly rtpParameters: RtpParameters; readonly paused: boolean },
    onClosed: (cause: 'closed' | 'transport_closed') => void,
  ): Promise<MediaProducer> {
    this.#bounding ??= this.#bound();
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
    // What was asked for while the transport was closed by another path would otherwise never be closed.
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
    const endVideo = consumer.kind === 'video' ? this.#noteVideo(consumer) : () => undefined;
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

  /** The client is reached by another path: what was under way on the previous one is lost, in both directions. */
  #askForPictures(): void {
    for (const producerId of this.#videoProducerIds) this.#keyFrames.askForTrack(producerId);
    for (const consumer of this.#videoConsumers) if (!consumer.paused) this.#keyFrames.askFor(consumer);
  }

  #noteVideo(consumer: types.Consumer): () => void {
    const forget = this.#keyFrames.add(consumer);
    this.#videoConsumers.add(consumer);
    return () => {
      forget();
      this.#videoConsumers.delete(consumer);
    };
  }

  async #bound(): Promise<void> {
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
