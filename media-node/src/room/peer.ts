import {
  CONTROL_TIMEOUT_MS,
  PlenaryError,
  REPUBLISH_INTERVAL_MS,
  atMost,
  clusterCapabilities,
  forgetOldest,
  toPlenaryError,
} from '@plenary/cluster';
import type {
  ConsumerId,
  ControlCaller,
  ControlReply,
  ControlRequest,
  DtlsParameters,
  IceParameters,
  LoggedEvent,
  MediaTraffic,
  PlacedPeer,
  PublishingLimit,
  RequestId,
  Timers,
  TrackHome,
  TrackId,
  TrackSource,
  TransportId,
} from '@plenary/cluster';
import type { ClientTransport, RoomRouter } from '../engine/engine.ts';
import type { HomeTrack } from './home-track.ts';
import { IceWatch } from './ice-watch.ts';
import { withoutResends } from './no-resends.ts';
import type { Asker } from './no-resends.ts';
import type { ReceiverBytes } from './resend-watch.ts';
import type { LimitStep } from './incoming-limits.ts';
import { CALLS_PER_PUBLICATION } from './peer-budgets.ts';
import type { PathEvents } from './path-watch.ts';
import { PathWatch } from './path-watch.ts';
import type { PeerLink } from './peer-link.ts';
import { Publications } from './publications.ts';
import type { PublicationPorts } from './publications.ts';
import type { RouterLease } from './room-routers.ts';
import { ADMIT_PULL_DEADLINE_MS, PULL_DEADLINE_MS, PeerConsumers } from './peer-consumers.ts';
import type { ConsumerUpdate, FailedTrack } from './peer-consumers.ts';
import type { FaultSink } from './room-context.ts';
import type { TrackHold } from './track-demand.ts';

/** Ended consumers that are remembered at most. */
const MAX_ENDED = 64;
/** A publication that is answered within this is answered while the edge waits, with a second for the way there and back. */
const HEARD_WITHIN_MS = CONTROL_TIMEOUT_MS - 1_000;
/** How long the worker has to say what it counts, in milliseconds: the client's question has a deadline of its own. */
const COUNT_WITHIN_MS = 200;
/**
 * For how long an answer to that is given again, in milliseconds: below the 300 between two questions of a client, which compares
 * the answers.
 */
const COUNTED_FOR_MS = 200;

type AdmitRequest = ControlRequest<'peer.admit'>;
type AdmitReply = ControlReply<'peer.admit'>;

export type PeerCloseReason =
  | 'dropped'
  | 'over_limit'
  | 'asks_too_much'
  | 'replaced'
  | 'worker_died'
  | 'transport_failed'
  | 'orphaned'
  | 'admit_failed'
  | 'node_stopping';

export interface PeerPorts {
  readonly placed: PlacedPeer;
  readonly workerIndex: number;
  /** As whom it is known again that asks for too much. */
  readonly asker: Asker;
  /** Whether packets that the client says it missed are sent again (SPEC MS10). */
  readonly isSentAgain: boolean;
  /** Charges calls of mediasoup. @throws PlenaryError `rate_limited` */
  readonly spend: (calls: number) => void;
  readonly acquireRouter: (workerIndex: number) => Promise<RouterLease>;
  readonly reach: (router: RoomRouter, track: TrackHome, onSuperseded: () => void) => Promise<TrackHold>;
  readonly publications: Omit<PublicationPorts, 'placed'>;
  readonly timers: Timers;
  /** Told how its client finds this node. */
  readonly path: PathEvents;
  /** Tells the room of changes that nobody asked for. */
  readonly deliver: (events: readonly LoggedEvent[]) => void;
  readonly onFault: FaultSink;
  /** Called once. @param trackIds - tracks whose records are to be ended */
  readonly onClosed: (peer: Peer, reason: PeerCloseReason, trackIds: readonly TrackId[]) => void;
}

/** One placement of a peer on this node: its transports, what it publishes and what it consumes. */
export class Peer {
  readonly placed: PlacedPeer;
  readonly workerIndex: number;
  /** The control link that hears of this peer; absent while its edge is gone. */
  link: PeerLink | undefined;
  /** The edge that holds, or last held, the session. */
  lastEdge: ControlCaller;
  readonly #ports: PeerPorts;
  readonly #publications: Publications;
  readonly #transports = new Map<TransportId, ClientTransport>();
  /** Consumers that ended although nobody asked, the last ones: told again to whoever takes the peer up. */
  readonly #ended = new Map<ConsumerId, TrackId>();
  readonly #iceWatch: IceWatch<TransportId>;
  readonly #pathWatch: PathWatch<TransportId>;
  /** Publications of which the edge that listens was told: the last ones. */
  readonly #toldOf = new Set<RequestId>();
  #admission: Promise<AdmitReply> | undefined;
  #lease: RouterLease | undefined;
  #subscriptions: PeerConsumers | undefined;
  #send: ClientTransport | undefined;
  #receive: ClientTransport | undefined;
  #closed = false;
  #isToMove = false;
  #counting: Promise<Partial<MediaTraffic>> | undefined;
  #publishedAgainAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: PeerPorts, link: PeerLink) {
    this.placed = ports.placed;
    this.workerIndex = ports.workerIndex;
    this.#ports = ports;
    this.link = link;
    this.lastEdge = link.caller;
    this.#iceWatch = new IceWatch(ports.timers, () => {
      this.close('transport_failed');
    });
    const { found, left, missed } = ports.path;
    this.#pathWatch = new PathWatch(ports.timers, {
      found,
      left,
      missed: () => {
        missed();
        this.#tellUnreached();
      },
    });
    this.#publications = new Publications({ ...ports.publications, placed: ports.placed });
  }

  get closed(): boolean {
    return this.#closed;
  }

  get asker(): Asker {
    return this.#ports.asker;
  }

  tracks(): readonly HomeTrack[] {
    return this.#publications.tracks();
  }

  attach(link: PeerLink): void {
    this.link = link;
    this.lastEdge = link.caller;
    this.#toldOf.clear();
    // What changed while no edge listened, or another one did, the client may not have heard.
    for (const track of this.tracks()) this.tellDemand(track);
    for (const [consumerId, trackId] of this.#ended) this.#tellEnded(consumerId, trackId);
    this.#subscriptions?.tellSuperseded();
    if (this.#isToMove) this.askToMove();
    if (this.#pathWatch.hasMissed) this.#tellUnreached();
  }

  /** Whether its tracks were not published again for an edge that took it up lately; then they are now. */
  isDueAgain(nowMs: number): boolean {
    if (nowMs - this.#publishedAgainAtMs < REPUBLISH_INTERVAL_MS) return false;
    this.#publishedAgainAtMs = nowMs;
    return true;
  }

  /** The node drains: asks the client to open media elsewhere, on this link and on each that comes after it. */
  askToMove(): void {
    this.#isToMove = true;
    this.link?.notify('peer.move', this.placed);
  }

  /** The node serves again: the client may stay. */
  mayStay(): void {
    this.#isToMove = false;
  }

  /** Tells the publisher what is wanted of a track. */
  tellDemand({ trackId, demand }: HomeTrack): void {
    this.link?.notify('track.demand', { ...this.placed, trackId, wanted: demand.wanted });
  }

  /**
   * Opens transports and first consumers; a repeat gets the same ones. On failure the peer is closed.
   * @throws PlenaryError `invalid_media_parameters`, `media_lost`
   */
  async admit(request: AdmitRequest): Promise<AdmitReply> {
    if (this.#admission !== undefined) {
      const reply = await this.#admission;
      return { ...reply, consumers: this.#subscriptions?.offers() ?? [] };
    }
    this.#admission = this.#open(request);
    try {
      return await this.#admission;
    } catch (error) {
      this.close('admit_failed');
      throw error;
    }
  }

  /**
   * @returns how many calls of mediasoup it took
   * @throws PlenaryError `transport_not_found`, `invalid_media_parameters`, `media_lost`
   */
  async connect(transportId: TransportId, dtlsParameters: DtlsParameters): Promise<number> {
    const transport = this.#transport(transportId);
    const calls = this.#spend(transport.isConnecting ? 0 : 1);
    await transport.connect(dtlsParameters);
    this.#pathWatch.expect();
    return calls;
  }

  /** @throws PlenaryError `transport_not_found`, `media_lost` */
  async restartIce(transportId: TransportId): Promise<IceParameters> {
    const transport = this.#transport(transportId);
    this.#ports.spend(1);
    return transport.restartIce();
  }

  /**
   * Bytes of media sent to the client and got from it so far; without what the worker does not say at once. Who asks wants to
   * know whether the node is there: neither a worker that hangs nor a spent budget may make it look dead.
   */
  async traffic(): Promise<Partial<MediaTraffic>> {
    if (this.#counting !== undefined) return this.#counting;
    const counting = this.#count();
    this.#counting = counting;
    this.#ports.timers.after(COUNTED_FOR_MS, () => {
      if (this.#counting === counting) this.#counting = undefined;
    });
    return counting;
  }

  async #count(): Promise<Partial<MediaTraffic>> {
    if (!this.#affords(this.#transports.size)) return {};
    const [receive, send] = await Promise.all([this.#trafficOf(this.#receive), this.#trafficOf(this.#send)]);
    return {
      ...(receive === undefined ? {} : { sentBytes: receive.sentBytes }),
      ...(send === undefined ? {} : { receivedBytes: send.receivedBytes }),
    };
  }

  async #trafficOf(transport: ClientTransport | undefined): Promise<MediaTraffic | undefined> {
    const counting = transport?.traffic().catch(() => undefined);
    return counting === undefined ? undefined : atMost(this.#ports.timers, COUNT_WITHIN_MS, counting);
  }

  /** @throws PlenaryError as {@link Publications.publish} */
  async publish(request: ControlRequest<'track.publish'>): Promise<ControlReply<'track.publish'>> {
    if (this.#lease === undefined) throw new PlenaryError('transport_not_found');
    const calls = this.#spend(this.#publications.knows(request.requestId) ? 0 : CALLS_PER_PUBLICATION);
    const { link } = this;
    let isInTime = true;
    const cancel = this.#ports.timers.after(HEARD_WITHIN_MS, () => {
      isInTime = false;
    });
    let reply;
    try {
      reply = await this.#publications.publish(request, this.#send, this.#lease.router);
    } finally {
      cancel();
    }
    // The first answer tells the room; a repeat is told which track it is, unless the answer came too late or to another edge.
    const isTold = calls === 0 && this.#toldOf.has(request.requestId);
    if (isInTime && this.link === link) this.#toldOf.add(request.requestId);
    forgetOldest(this.#toldOf, MAX_ENDED);
    return { ...reply, events: isTold ? [] : reply.events, calls };
  }

  async pauseTrack(trackId: TrackId, paused: boolean): Promise<readonly LoggedEvent[]> {
    if (this.#publications.isOther(trackId, paused)) this.#ports.spend(1);
    return this.#publications.setPaused(trackId, paused);
  }

  /** Of its tracks that live. */
  sources(): readonly TrackSource[] {
    return this.tracks().map(({ source }) => source);
  }

  /** Bytes that came from the client so far; `undefined` where it has no transport to send by. */
  receivedBytes(): Promise<number> | undefined {
    return this.#send?.receivedBytes();
  }

  /** What went over the transport that the client receives by; `undefined` before it is there. */
  receiverBytes(): Promise<ReceiverBytes> | undefined {
    return this.#receive?.receiverBytes();
  }

  /**
   * The client sends more than it may (SPEC MS5). What is paused is so as by its publisher, who may resume it.
   * @throws PlenaryError what {@link Publications} throws
   */
  async limit(step: LimitStep, { bitrate, limit }: Omit<PublishingLimit, 'step'>): Promise<void> {
    if (step === 'dropped') {
      this.close('over_limit');
      return;
    }
    this.link?.notify('publishing.limited', { ...this.placed, step, bitrate, limit });
    if (step === 'warned') return;
    for (const { trackId, producer } of this.tracks()) {
      if (step === 'ended') this.#ports.deliver(await this.#publications.end(trackId, 'over_limit'));
      else if (!producer.paused) this.#ports.deliver(await this.#publications.setPaused(trackId, true));
    }
  }

  async endTrack(trackId: TrackId): Promise<ControlReply<'track.end'>> {
    const calls = this.#spend(this.#publications.has(trackId) ? 1 : 0);
    return { events: [...(await this.#publications.end(trackId))], calls };
  }

  /** Video starts paused, since the client's receiver is not ready yet and the key frame would be lost. */
  async subscribe(tracks: readonly TrackHome[]): Promise<ControlReply<'subscribe'>> {
    const subscriptions = this.#subscribed();
    const calls = this.#spend(subscriptions.countNew(tracks));
    const reply = await subscriptions.add(tracks, (track) => track.kind === 'video', PULL_DEADLINE_MS);
    this.#reportFailed(reply.failed);
    return { ...reply, calls };
  }

  #reportFailed(failed: readonly FailedTrack[]): void {
    for (const { error } of failed) this.#ports.onFault('consume', PlenaryError.fromWire(error));
  }

  /** @returns how many calls of mediasoup it took */
  unsubscribe(consumerIds: Parameters<PeerConsumers['remove']>[0]): number {
    const subscriptions = this.#subscribed();
    const ids = [...new Set(consumerIds)];
    const calls = this.#spend(subscriptions.countOpen(ids));
    subscriptions.remove(ids);
    return calls;
  }

  /** @returns how many calls of mediasoup it took: what is so already takes none */
  async updateConsumers(updates: readonly ConsumerUpdate[]): Promise<number> {
    const subscriptions = this.#subscribed();
    const calls = this.#spend(subscriptions.countChanges(updates));
    await subscriptions.update(updates);
    return calls;
  }

  /** Frees everything; may be called again without effect. */
  close(reason: PeerCloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#iceWatch.close();
    this.#pathWatch.close();
    const trackIds = this.#publications.close();
    this.#subscriptions?.close();
    for (const transport of this.#transports.values()) transport.close();
    this.#transports.clear();
    this.#lease?.release();
    this.#ports.onClosed(this, reason, trackIds);
  }

  async #open(request: AdmitRequest): Promise<AdmitReply> {
    const { media, tracks } = request;
    const capabilities = clusterCapabilities(media.rtpCapabilities);
    const lease = await this.#ports.acquireRouter(this.workerIndex);
    if (this.#closed) {
      lease.release();
      throw new PlenaryError('media_lost');
    }
    this.#lease = lease;
    // All of it goes on side by side: the transports, their DTLS, and the pipes of what is consumed at once.
    const receive = this.#openTransport(lease.router);
    const send = media.publish ? this.#openTransport(lease.router) : Promise.resolve(undefined);
    const subscriptions = new PeerConsumers({
      rtpCapabilities: this.#ports.isSentAgain ? capabilities : withoutResends(capabilities),
      receive,
      reach: (track, onSuperseded) => this.#ports.reach(lease.router, track, onSuperseded),
      timers: this.#ports.timers,
      onConsumerClosed: (consumerId, trackId, isPathLost) => {
        this.#ended.set(consumerId, trackId);
        forgetOldest(this.#ended, MAX_ENDED);
        this.#tellEnded(consumerId, trackId, isPathLost);
      },
      onSuperseded: (consumerId, trackId) => {
        this.link?.notify('consumer.superseded', { ...this.placed, consumerId, trackId });
      },
    });
    this.#subscriptions = subscriptions;
    const connect = async (
      transport: Promise<ClientTransport | undefined>,
      dtlsParameters: DtlsParameters | undefined,
    ): Promise<void> => {
      const opened = await transport;
      if (dtlsParameters === undefined) return;
      await opened?.connect(dtlsParameters);
      if (!this.#closed) this.#pathWatch.expect();
    };
    const [receiveTransport, sendTransport, subscribed] = await Promise.all([
      receive,
      send,
      subscriptions.add(tracks, () => false, ADMIT_PULL_DEADLINE_MS),
      connect(receive, media.dtls?.receive),
      connect(send, media.dtls?.send),
    ]);
    if (this.#closed) throw new PlenaryError('media_lost');
    this.#send = sendTransport;
    this.#receive = receiveTransport;
    this.#reportFailed(subscribed.failed.filter(({ error }) => error.code !== 'timed_out'));
    return {
      receiveTransport: receiveTransport.offer(),
      ...(sendTransport === undefined ? {} : { sendTransport: sendTransport.offer() }),
      ...subscribed,
    };
  }

  async #openTransport(router: RoomRouter): Promise<ClientTransport> {
    const transport = await router.createClientTransport((changed, change) => {
      if (this.#closed) return;
      this.#iceWatch.changed(changed.id, change);
      this.#pathWatch.changed(changed.id, change);
    });
    if (this.#closed) {
      transport.close();
      throw new PlenaryError('media_lost');
    }
    this.#transports.set(transport.id, transport);
    return transport;
  }

  /** @returns the same number. @throws PlenaryError `rate_limited` */
  #spend(calls: number): number {
    if (calls > 0) this.#ports.spend(calls);
    return calls;
  }

  #affords(calls: number): boolean {
    try {
      this.#spend(calls);
      return true;
    } catch (thrown) {
      if (toPlenaryError(thrown).code !== 'rate_limited') throw thrown;
      return false;
    }
  }

  #tellUnreached(): void {
    this.link?.notify('peer.unreached', this.placed);
  }

  #tellEnded(consumerId: ConsumerId, trackId: TrackId, isPathLost = false): void {
    const news = { ...this.placed, consumerId, trackId };
    this.link?.notify('consumer.closed', isPathLost ? { ...news, isPathLost } : news);
  }

  #transport(transportId: TransportId): ClientTransport {
    const transport = this.#transports.get(transportId);
    if (transport === undefined) throw new PlenaryError('transport_not_found');
    return transport;
  }

  #subscribed(): PeerConsumers {
    if (this.#subscriptions === undefined || this.#closed) throw new PlenaryError('media_lost');
    return this.#subscriptions;
  }
}
