import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { types } from 'mediasoup';
import { PlenaryError, guardCallback, faultOfForwarded, withExtensionsOf } from '@plenary/cluster';
import type { MediaKind, PipeEnd, RtpParameters } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { callMediasoup, noteCall } from './calls.ts';
import type { KeyFrames } from './key-frames.ts';
import { MediaConsumer } from './media-consumer.ts';
import type { ConsumerEvents } from './media-consumer.ts';
import { MediaProducer } from './media-producer.ts';
import { patientWithBaseLayer } from './rtp-parameters.ts';

/** One end of a pipe between two routers: a PipeTransport with RTX. */
export class PipeTransport {
  readonly #transport: types.PipeTransport;
  readonly #metrics: NodeMetrics;
  readonly #address: string;
  readonly #keyFrames: KeyFrames;

  /** @param address - the address that the other end uses for this one */
  constructor(
    transport: types.PipeTransport,
    address: string,
    metrics: NodeMetrics,
    keyFrames: KeyFrames,
    onClosed: () => void,
  ) {
    this.#keyFrames = keyFrames;
    this.#transport = transport;
    this.#metrics = metrics;
    this.#address = address;
    metrics.transports.inc({ kind: 'pipe' });
    transport.observer.once(
      'close',
      guardCallback('mediasoup', () => {
        metrics.transports.dec({ kind: 'pipe' });
        onClosed();
      }),
    );
  }

  get closed(): boolean {
    return this.#transport.closed;
  }

  /** The address and keys that the other end connects to. */
  get end(): PipeEnd {
    const { srtpParameters, tuple } = this.#transport;
    return {
      address: this.#address,
      port: tuple.localPort,
      ...(srtpParameters === undefined ? {} : { srtpParameters }),
    };
  }

  /** @throws PlenaryError `invalid_media_parameters` when the address cannot be resolved or mediasoup refuses it */
  async connect(end: PipeEnd): Promise<void> {
    // mediasoup connects only to IP addresses; an announced host name stands for IPv4.
    const ip = isIP(end.address) === 0 ? await resolve(end.address) : end.address;
    const { port, srtpParameters } = end;
    await callMediasoup(
      this.#metrics,
      'pipe.connect',
      () =>
        this.#transport.connect({ ip, port, ...(srtpParameters === undefined ? {} : { srtpParameters }) }),
      'invalid_media_parameters',
    );
  }

  /** Sends a producer of its router into the pipe. @throws PlenaryError `track_not_found`, `media_lost` */
  async consume(producerId: string, on: ConsumerEvents): Promise<MediaConsumer> {
    const consumer = await callMediasoup(
      this.#metrics,
      'pipe.consume',
      () => this.#transport.consume({ producerId }),
      'cannot_consume',
      'track_not_found',
    );
    const forget = this.#keyFrames.add(consumer);
    const wrapped = new MediaConsumer(consumer, 'pipe', this.#metrics, {
      ...on,
      closed: (cause) => {
        forget();
        on.closed(cause);
      },
    });
    if (this.#transport.closed) {
      wrapped.close();
      throw new PlenaryError('media_lost');
    }
    return wrapped;
  }

  /**
   * Receives a track from the pipe, as a producer of the given id. @throws PlenaryError `media_lost`,
   * `invalid_media_parameters`
   */
  async produce(
    track: {
      readonly producerId: string;
      readonly kind: MediaKind;
      readonly rtpParameters: RtpParameters;
      readonly paused: boolean;
    },
    onClosed: () => void,
  ): Promise<MediaProducer> {
    const { producerId, kind, paused } = track;
    const rtpParameters = withExtensionsOf(kind, track.rtpParameters);
    const fault = faultOfForwarded(kind, rtpParameters);
    if (fault !== undefined) throw new PlenaryError('invalid_media_parameters', fault);
    const producer = await callMediasoup(
      this.#metrics,
      'pipe.produce',
      () =>
        this.#transport.produce({
          id: producerId,
          kind,
          rtpParameters: patientWithBaseLayer({ kind, rtpParameters }),
          paused,
        }),
      'invalid_media_parameters',
    );
    const wrapped = new MediaProducer(producer, 'piped', this.#metrics, onClosed);
    if (this.#transport.closed) {
      wrapped.close();
      throw new PlenaryError('media_lost');
    }
    return wrapped;
  }

  /** Returns RTP bytes so far: sent into the pipe, and received from it. */
  async traffic(): Promise<{ readonly sentBytes: number; readonly receivedBytes: number }> {
    const [stats] = await callMediasoup(
      this.#metrics,
      'pipe.getStats',
      () => this.#transport.getStats(),
      'media_lost',
    );
    return { sentBytes: stats?.rtpBytesSent ?? 0, receivedBytes: stats?.rtpBytesReceived ?? 0 };
  }

  close(): void {
    if (this.#transport.closed) return;
    noteCall(this.#metrics, 'pipe.close');
    this.#transport.close();
  }
}

async function resolve(hostName: string): Promise<string> {
  try {
    return (await lookup(hostName, { family: 4 })).address;
  } catch (cause) {
    throw new PlenaryError('invalid_media_parameters', `Cannot resolve ${hostName}.`, { cause });
  }
}
