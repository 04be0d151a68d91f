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
  /** A transport could not be brought back: media has to be opened anew. */
  readonly failed: () => void;
  /** The browser did not take a negotiation: nothing can be received anew by it. */
  readonly spoilt: () => void;
  readonly clock: JoinClock;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** A producer and what the edge has to be told of it. */
export interface StartedProducer {
  readonly producer: types.Producer;
  readonly transportId: TransportId;
  readonly rtpParameters: RtpParameters;
}

/** The two transports of one life on one media node. Replaced as a whole when media is lost. */
export class MediaSession {
  /** Names it in requests; a client that moves has two for a while. */
  readonly epoch: Epoch;
  readonly mediaNodeId: string;
  readonly datacenter: string;
  readonly receive: types.Transport;
  readonly send: types.Transport | undefined;
  readonly #warm: WarmMedia;
  readonly #environment: MediaSessionEnvironment;
  readonly #keepers: IceKeeper[] = [];
  /** `mid`s and SSRCs of consumers. */
  readonly #names = new Set<string>();
  /** Something is received by it. */
  #isInUse = false;
  #isSpoilt = false;
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
      // Nobody else can: a browser that has too many connections would keep one more.
      for (const keeper of this.#keepers) keeper.stop();
      this.receive.close();
      throw thrown;
    }
    environment.clock.note('transportsCreated');
    if (offer.consumers.length === 0) this.#connectAhead();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** `connecting` until the path stands for the first time; `reconnecting` when it is lost. */
  get state(): 'connecting' | 'connected' | 'reconnecting' {
    const states = [
      this.receive.connectionState,
      ...(this.send === undefined ? [] : [this.send.connectionState]),
    ];
    if (states.some((state) => state === 'disconnected' || state === 'failed')) return 'reconnecting';
    // A sending transport stays `new` as long as nothing is published, which is no fault.
    return this.receive.connectionState === 'connected' || states.includes('connected')
      ? 'connected'
      : 'connecting';
  }

  /** Waits until something can be received by it. @returns `false` when it could not within the time, or was closed */
  async whenConnected(withinMs: number): Promise<boolean> {
    const isConnected = (): boolean => this.receive.connectionState === 'connected';
    if (isConnected() || this.#closed) return !this.#closed;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.receive.off('connectionstatechange', look);
        this.receive.observer.off('close', done);
        resolve();
      };
      const look = (): void => {
        if (isConnected()) done();
      };
      const timer = setTimeout(done, withinMs);
      this.receive.on('connectionstatechange', look);
      this.receive.observer.on('close', done);
    });
    return isConnected() && !this.#closed;
  }

  /**
   * Makes the receiver of a consumer. Calls made in the same turn share one negotiation (mediasoup-client does it).
   * @throws PlenaryError `cannot_consume`, which concerns this consumer alone; `media_lost`
   */
  async consume(offer: ConsumerOffer): Promise<types.Consumer> {
    const rtpParameters = this.#readable(offer);
    const { trial } = this.#warm;
    if (!(await trial.passes(offer, this.#isInUse))) {
      throw new PlenaryError('cannot_consume', 'The browser does not take it.');
    }
    if (this.#closed) throw new PlenaryError('media_lost', 'The transport closed meanwhile.');
    const end = this.#claimNames(rtpParameters);
    try {
      const consumer = await this.receive.consume({
        id: offer.consumerId,
        producerId: offer.trackId,
        kind: offer.kind,
        rtpParameters: toClientParameters(rtpParameters),
        // Browsers keep the sound and picture of one stream in step; a screen is not in step with a voice.
        streamId: `${offer.peerId}-${offer.source === 'camera' || offer.source === 'microphone' ? 'self' : 'screen'}`,
      });
      this.#isInUse = true;
      trial.took(offer);
      consumer.observer.once('close', end);
      this.#watchTransport(consumer.rtpReceiver);
      return consumer;
    } catch (thrown) {
      end();
      if (this.#closed)
        throw new PlenaryError('media_lost', 'The transport closed meanwhile.', { cause: thrown });
      // Only this one is refused before the browser is asked; what it refuses stays in the transport's SDP.
      if (!(thrown instanceof Error && thrown.name === 'UnsupportedError')) {
        trial.lost(offer);
        this.#spoil();
      }
      const detail = thrown instanceof Error ? thrown.message : String(thrown);
      throw new PlenaryError('cannot_consume', detail, { cause: thrown });
    }
  }

  /** @throws PlenaryError `cannot_consume` for what cannot be read or does not fit the cluster */
  #readable({ kind, rtpParameters }: ConsumerOffer): RtpParameters {
    const fault =
      rtpParameters === null ? 'Its parameters cannot be read.' : faultOfOffer(kind, rtpParameters);
    if (rtpParameters === null || fault !== undefined) throw new PlenaryError('cannot_consume', fault);
    return rtpParameters;
  }

  /** @returns to be called when the consumer has ended @throws PlenaryError `cannot_consume` where another one has its names */
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

  /** After all that shared the negotiation have heard of it. */
  #spoil(): void {
    if (this.#isSpoilt) return;
    this.#isSpoilt = true;
    queueMicrotask(() => {
      if (!this.#closed) this.#environment.spoilt();
    });
  }

  /**
   * Begins to send a track. The producer exists at once, under a local id; the edge is told by the caller. Waiting for
   * the edge's answer inside mediasoup-client would hold up every other track by a round trip.
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

  /** Nothing comes although the media node is there: seeks another path to it, before ICE notices. */
  seekPath(): void {
    for (const keeper of this.#keepers) void keeper.hurry();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const keeper of this.#keepers) keeper.stop();
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
        // The fingerprint went with the join, so the other side is connected already.
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
    this.#keepers.push(
      new IceKeeper(transport, {
        restartIce: () => this.#environment.restartIce(transportId),
        gaveUp: this.#environment.failed,
        counters,
        log,
      }),
    );
    return transport;
  }

  /**
   * Connects the receiving transport although there is nothing to receive yet, by a receiver that no packet will ever
   * reach: the first real track then needs neither ICE nor DTLS, and a blocked network shows at once.
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
          // The media node numbers its own sections, so this name clashes with none.
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
        // Only the head start is lost: the first real consumer connects the transport.
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
