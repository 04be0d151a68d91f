import { PlenaryError, toPlenaryError } from '@plenary/cluster/errors';
import {
  DTLS_PARAMETERS,
  RTP_PARAMETERS,
  TRANSPORT_ID,
  faultOfOffer,
  type ConsumerOffer,
  type DtlsParameters,
  type Epoch,
  type IceParameters,
  type MediaOffer,
  type RtpParameters,
  type TransportId,
  type TransportOffer,
} from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import type { ClientLog, Counters } from './counters.ts';
import { encodingPlan } from './encodings.ts';
import { IceKeeper } from './ice-keeper.ts';
import type { JoinClock } from './join-timings.ts';
import { toClientParameters } from './to-mediasoup.ts';
import type { TrackSource } from '@plenary/cluster/protocol';
import type { WarmMedia } from './warm-up.ts';

export interface MediaSessionEnvironment {
  readonly connectTransport: (transportId: TransportId, dtlsParameters: DtlsParameters) => Promise<void>;
  readonly restartIce: (transportId: TransportId) => Promise<IceParameters>;
  readonly stateChanged: () => void;
  /** A transport could not be recovered: the media session has to be reopened. */
  readonly failed: () => void;
  /** The browser rejected a negotiation: the transport can receive no further consumer. */
  readonly negotiationFailed: () => void;
  readonly clock: JoinClock;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** A producer, with the parameters for `track.publish`. */
export interface StartedProducer {
  readonly producer: types.Producer;
  readonly transportId: TransportId;
  readonly rtpParameters: RtpParameters;
}

/** The two transports on one media node under one epoch. Replaced as a whole after a loss. */
export class MediaSession {
  /** Identifies the media session in requests; a client that moves has two for a while. */
  readonly epoch: Epoch;
  readonly mediaNodeId: string;
  readonly datacenter: string;
  readonly receive: types.Transport;
  readonly send: types.Transport | undefined;
  readonly #warm: WarmMedia;
  readonly #environment: MediaSessionEnvironment;
  readonly #iceKeepers: IceKeeper[] = [];
  /** `mid`s and SSRCs of consumers. */
  readonly #names = new Set<string>();
  /** Whether the receive transport has a consumer. */
  #isInUse = false;
  #hasFailedNegotiation = false;
  #closed = false;

  constructor(warm: WarmMedia, offer: MediaOffer, environment: MediaSessionEnvironment) {
    this.#warm = warm;
    this.#environment = environment;
    this.epoch = offer.epoch;
    this.mediaNodeId = offer.mediaNodeId;
    this.datacenter = offer.datacenter;
    this.receive = this.#open('receive', offer.receiveTransport);
    try {
      this.send = offer.sendTransport === undefined ? undefined : this.#open('send', offer.sendTransport);
    } catch (thrown) {
      // No owner exists yet that could close it: a browser with too many connections would keep one more.
      for (const keeper of this.#iceKeepers) keeper.stop();
      this.receive.close();
      throw thrown;
    }
    environment.clock.note('transportsCreated');
    if (offer.consumers.length === 0) this.#connectAhead();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** `connecting` until the path is established for the first time; `reconnecting` while it is lost. */
  get state(): 'connecting' | 'connected' | 'reconnecting' {
    const states = [
      this.receive.connectionState,
      ...(this.send === undefined ? [] : [this.send.connectionState]),
    ];
    if (states.some((state) => state === 'disconnected' || state === 'failed')) return 'reconnecting';
    // A send transport stays `new` while nothing is published, which is no fault.
    return this.receive.connectionState === 'connected' || states.includes('connected')
      ? 'connected'
      : 'connecting';
  }

  /** Waits until the receive transport is connected. @returns `false` after the time limit, or when it was closed */
  async whenConnected(withinMs: number): Promise<boolean> {
    const isConnected = (): boolean => this.receive.connectionState === 'connected';
    if (isConnected() || this.#closed) return !this.#closed;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.receive.off('connectionstatechange', check);
        this.receive.observer.off('close', done);
        resolve();
      };
      const check = (): void => {
        if (isConnected()) done();
      };
      const timer = setTimeout(done, withinMs);
      this.receive.on('connectionstatechange', check);
      this.receive.observer.on('close', done);
    });
    return isConnected() && !this.#closed;
  }

  /**
   * Creates the receiver of a consumer. mediasoup-client runs one negotiation for all calls of one turn.
   * @throws PlenaryError `cannot_consume`, which concerns this consumer alone; `media_lost`
   */
  async consume(offer: ConsumerOffer): Promise<types.Consumer> {
    const rtpParameters = this.#readable(offer);
    const { trial } = this.#warm;
    if (!(await trial.passes(offer, this.#isInUse))) {
      throw new PlenaryError('cannot_consume', 'The browser does not take it.');
    }
    if (this.#closed) throw new PlenaryError('media_lost', 'The transport closed meanwhile.');
    const freeNames = this.#claimNames(rtpParameters);
    try {
      const consumer = await this.receive.consume({
        id: offer.consumerId,
        producerId: offer.trackId,
        kind: offer.kind,
        rtpParameters: toClientParameters(rtpParameters),
        // Browsers synchronize audio and video of one stream; a screen must not be synchronized with a microphone.
        streamId: `${offer.peerId}-${offer.source === 'camera' || offer.source === 'microphone' ? 'self' : 'screen'}`,
      });
      this.#isInUse = true;
      trial.accepted(offer);
      consumer.observer.once('close', freeNames);
      this.#watchTransport(consumer.rtpReceiver);
      return consumer;
    } catch (thrown) {
      freeNames();
      if (this.#closed)
        throw new PlenaryError('media_lost', 'The transport closed meanwhile.', { cause: thrown });
      // An UnsupportedError comes before the negotiation. After any other error the rejected section stays in the transport's SDP.
      if (!(thrown instanceof Error && thrown.name === 'UnsupportedError')) {
        trial.failed(offer);
        this.#failNegotiation();
      }
      const detail = thrown instanceof Error ? thrown.message : String(thrown);
      throw new PlenaryError('cannot_consume', detail, { cause: thrown });
    }
  }

  /** @throws PlenaryError `cannot_consume` for parameters that are unreadable or do not match the cluster */
  #readable({ kind, rtpParameters }: ConsumerOffer): RtpParameters {
    const fault =
      rtpParameters === null ? 'Its parameters cannot be read.' : faultOfOffer(kind, rtpParameters);
    if (rtpParameters === null || fault !== undefined) throw new PlenaryError('cannot_consume', fault);
    return rtpParameters;
  }

  /** @returns a function that frees the names again @throws PlenaryError `cannot_consume` when another consumer has one of the names */
  #claimNames(rtpParameters: RtpParameters): () => void {
    const names = namesOf(rtpParameters);
    if (names.some((name) => this.#names.has(name))) {
      throw new PlenaryError('cannot_consume', 'Another consumer has its mid or SSRC.');
    }
    for (const name of names) this.#names.add(name);
    return () => {
      for (const name of names) this.#names.delete(name);
    };
  }

  /** Reports the failed negotiation after all its consumers were rejected. */
  #failNegotiation(): void {
    if (this.#hasFailedNegotiation) return;
    this.#hasFailedNegotiation = true;
    queueMicrotask(() => {
      if (!this.#closed) this.#environment.negotiationFailed();
    });
  }

  /**
   * Begins to send a track. The producer exists at once, under a local id; the caller publishes it at the edge. mediasoup-client would
   * otherwise wait for the edge's answer, and delay every other track by a round trip.
   */
  async produce(source: TrackSource, track: MediaStreamTrack, localId: string): Promise<StartedProducer> {
    if (this.send === undefined)
      throw new PlenaryError('forbidden', 'This client has no transport for sending.');
    const plan = encodingPlan(source);
    const codec = this.#warm.device.sendRtpCapabilities.codecs?.find(
      ({ mimeType }) => mimeType === plan.mimeType,
    );
    const producer = await this.send.produce({
      track,
      ...(plan.encodings === undefined ? {} : { encodings: structuredClone(plan.encodings) }),
      ...(plan.codecOptions === undefined ? {} : { codecOptions: plan.codecOptions }),
      ...(codec === undefined ? {} : { codec }),
      stopTracks: false,
      zeroRtpOnPause: true,
      appData: { localId },
    });
    return {
      producer,
      transportId: TRANSPORT_ID.parse(this.send.id),
      rtpParameters: RTP_PARAMETERS.parse(producer.rtpParameters),
    };
  }

  /** Restarts ICE before ICE itself detects the loss. Called when nothing arrives although the media node is alive. */
  seekPath(): void {
    for (const keeper of this.#iceKeepers) void keeper.restartNow();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const keeper of this.#iceKeepers) keeper.stop();
    this.receive.close();
    this.send?.close();
  }

  #open(direction: 'send' | 'receive', offer: TransportOffer): types.Transport {
    const { device, certificate, dtls } = this.#warm;
    const { clock, counters, log } = this.#environment;
    const options: types.TransportOptions = {
      ...offer,
      ...(certificate === undefined ? {} : { additionalSettings: { certificates: [certificate] } }),
    };
    const transport =
      direction === 'send' ? device.createSendTransport(options) : device.createRecvTransport(options);
    const transportId = TRANSPORT_ID.parse(offer.id);
    transport.on('connect', ({ dtlsParameters }, connected, failed) => {
      if (dtls !== undefined) {
        // The join carried the fingerprint, so the media node's side is already connected.
        connected();
        return;
      }
      this.#environment
        .connectTransport(transportId, DTLS_PARAMETERS.parse(dtlsParameters))
        .then(connected, (thrown: unknown) => {
          failed(toPlenaryError(thrown));
        });
    });
    transport.on('produce', ({ appData }, produced, failed) => {
      const { localId } = appData;
      if (typeof localId === 'string') produced({ id: localId });
      else failed(new PlenaryError('internal', 'A producer without a local id.'));
    });
    transport.on('connectionstatechange', (state) => {
      if (state === 'connected') clock.note(direction === 'send' ? 'sendConnected' : 'dtlsConnected');
      this.#environment.stateChanged();
    });
    this.#iceKeepers.push(
      new IceKeeper(transport, {
        restartIce: () => this.#environment.restartIce(transportId),
        failed: this.#environment.failed,
        counters,
        log,
      }),
    );
    return transport;
  }

  /**
   * Connects the receive transport before there is anything to receive, by a receiver that never gets a packet. The first real track then
   * needs neither ICE nor DTLS, and a blocked network is detected at once.
   */
  #connectAhead(): void {
    const opus = this.#warm.device.recvRtpCapabilities.codecs?.find(
      ({ mimeType }) => mimeType === 'audio/opus',
    );
    if (opus === undefined) return;
    this.receive
      .consume({
        id: 'connect-ahead',
        producerId: 'connect-ahead',
        kind: 'audio',
        rtpParameters: {
          // The media node uses numbers as mids, so this one is unique.
          mid: 'ahead',
          codecs: [
            {
              mimeType: opus.mimeType,
              payloadType: opus.preferredPayloadType,
              clockRate: opus.clockRate,
              channels: opus.channels ?? 2,
            },
          ],
          encodings: [{ ssrc: 1 }],
          rtcp: { cname: 'connect-ahead' },
        },
      })
      .then(({ rtpReceiver }) => {
        this.#watchTransport(rtpReceiver);
      })
      .catch((thrown: unknown) => {
        // The first real consumer connects the transport instead, only later.
        if (!this.#closed) this.#environment.log.warn('connecting ahead failed', thrown);
      });
  }

  #watchTransport(receiver: RTCRtpReceiver | undefined): void {
    const ice = receiver?.transport?.iceTransport;
    if (ice === undefined) return;
    const note = (): void => {
      if (ice.state === 'connected' || ice.state === 'completed')
        this.#environment.clock.note('iceConnected');
    };
    note();
    if (!this.#environment.clock.has('iceConnected')) ice.addEventListener('statechange', note);
  }
}

function namesOf({ mid, encodings = [] }: RtpParameters): string[] {
  const ssrcs = encodings.flatMap(({ ssrc, rtx }) => [ssrc, rtx?.ssrc]);
  return [
    ...(mid === undefined ? [] : [`mid ${mid}`]),
    ...ssrcs.flatMap((ssrc) => (ssrc === undefined ? [] : [`ssrc ${ssrc}`])),
  ];
}
