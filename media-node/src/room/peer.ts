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
import type { Requester } from './no-resends.ts';
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

/** Maximum number of ended consumers that are remembered. */
const MAX_ENDED = 64;
/**
 * A publication answered within this time reaches the edge before its own deadline; one second is left for both
 * directions.
 */
const ANSWER_WITHIN_MS = CONTROL_TIMEOUT_MS - 1_000;
/**
 * How long the worker may take to count a transport's bytes, in milliseconds; the client's request has its own
 * deadline.
 */
const COUNT_WITHIN_MS = 200;
/**
 * How long a traffic count is reused, in milliseconds. Must stay below the 300 ms between two requests of a client,
 * which compares the answers.
 */
const COUNT_REUSED_MS = 200;

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
  /** Identifies a peer or person that requested too many retransmissions when it comes back. */
  readonly requester: Requester;
  /** Whether the client gets retransmissions of packets that it reports as lost (SPEC MS10). */
  readonly getsRetransmissions: boolean;
  /** Charges calls of mediasoup. @throws PlenaryError `rate_limited` */
  readonly spend: (calls: number) => void;
  readonly acquireRouter: (workerIndex: number) => Promise<RouterLease>;
  readonly reach: (router: RoomRouter, track: TrackHome, onSuperseded: () => void) => Promise<TrackHold>;
  readonly publications: Omit<PublicationPorts, 'placed'>;
  readonly timers: Timers;
  /** Notified when the client finds or loses its path to this node. */
  readonly path: PathEvents;
  /** Announces to the room the changes that no request caused. */
  readonly deliver: (events: readonly LoggedEvent[]) => void;
  readonly onFault: FaultSink;
  /** Called once. @param trackIds - tracks whose records are to be ended */
  readonly onClosed: (peer: Peer, reason: PeerCloseReason, trackIds: readonly TrackId[]) => void;
}

/** One placement of a peer on this node: its transports, what it publishes and what it consumes. */
export class Peer {
  readonly placed: PlacedPeer;
  readonly workerIndex: number;
  /** The control link that gets this peer's notices; absent while its edge is disconnected. */
  link: PeerLink | undefined;
  /** The edge that holds, or last held, the session. */
  lastEdge: ControlCaller;
  readonly #ports: PeerPorts;
  readonly #publications: Publications;
  readonly #transports = new Map<TransportId, ClientTransport>();
  /** The last consumers that ended without a request; announced again to the next edge that attaches. */
  readonly #ended = new Map<ConsumerId, TrackId>();
  readonly #iceWatch: IceWatch<TransportId>;
  readonly #pathWatch: PathWatch<TransportId>;
  /** The last publications whose answer reached the attached edge. */
  readonly #answeredRequests = new Set<RequestId>();
  #admission: Promise<AdmitReply> | undefined;
  #lease: RouterLease | undefined;
  #subscriptions: PeerConsumers | undefined;
  #send: ClientTransport | undefined;
  #receive: ClientTransport | undefined;
  #closed = false;
  #isMoveRequested = false;
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
        this.#notifyUnreached();
      },
    });
    this.#publications = new Publications({ ...ports.publications, placed: ports.placed });
  }

  get closed(): boolean {
    return this.#closed;
  }

  get requester(): Requester {
    return this.#ports.requester;
  }

  tracks(): readonly HomeTrack[] {
    return this.#publications.tracks();
  }

  attach(link: PeerLink): void {
    this.link = link;
    this.lastEdge = link.caller;
    this.#answeredRequests.clear();
    // The client may have missed changes that came while no edge, or another one, was attached.
    for (const track of this.tracks()) this.notifyDemand(track);
    for (const [consumerId, trackId] of this.#ended) this.#notifyEnded(consumerId, trackId);
    this.#subscriptions?.notifySuperseded();
    if (this.#isMoveRequested) this.requestMove();
    if (this.#pathWatch.hasMissed) this.#notifyUnreached();
  }

  /**
   * Whether the peer's tracks are due to be published again for an edge that resumed it; if so, notes that they are
   * now.
   */
  claimRepublication(nowMs: number): boolean {
    if (nowMs - this.#publishedAgainAtMs < REPUBLISH_INTERVAL_MS) return false;
    this.#publishedAgainAtMs = nowMs;
    return true;
  }

  /** The node drains: asks the client to open a media session elsewhere, over this link and each later one. */
  requestMove(): void {
    this.#isMoveRequested = true;
    this.link?.notify('peer.move', this.placed);
  }

  /** The node serves again: the client may stay. */
  cancelMove(): void {
    this.#isMoveRequested = false;
  }

  /** Notifies the publisher of the demand for a track. */
  notifyDemand({ trackId, demand }: HomeTrack): void {
    this.link?.notify('track.demand', { ...this.placed, trackId, wanted: demand.wanted });
  }

  /**
   * Opens the transports and the first consumers; a repeat returns the same ones. A failure closes the peer.
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
   * @returns the number of mediasoup calls
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
   * Bytes sent to and received from the client so far, without counts that the worker does not give in time. The
   * client checks with this whether the node is alive: a hanging worker or a spent budget must not make the node look
   * dead.
   */
  async traffic(): Promise<Partial<MediaTraffic>> {
    if (this.#counting !== undefined) return this.#counting;
    const counting = this.#count();
    this.#counting = counting;
    this.#ports.timers.after(COUNT_REUSED_MS, () => {
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
    const cancel = this.#ports.timers.after(ANSWER_WITHIN_MS, () => {
      isInTime = false;
    });
    let reply;
    try {
      reply = await this.#publications.publish(request, this.#send, this.#lease.router);
    } finally {
      cancel();
    }
    // The first answer carries the events for the room. A repeat carries none, unless that answer came too late or
    // went to another edge.
    const isAnswered = calls === 0 && this.#answeredRequests.has(request.requestId);
    if (isInTime && this.link === link) this.#answeredRequests.add(request.requestId);
    forgetOldest(this.#answeredRequests, MAX_ENDED);
    return { ...reply, events: isAnswered ? [] : reply.events, calls };
  }

  async pauseTrack(trackId: TrackId, paused: boolean): Promise<readonly LoggedEvent[]> {
    if (this.#publications.changesPause(trackId, paused)) this.#ports.spend(1);
    return this.#publications.setPaused(trackId, paused);
  }

  /** The sources of the peer's open tracks. */
  sources(): readonly TrackSource[] {
    return this.tracks().map(({ source }) => source);
  }

  /** Bytes received from the client so far; `undefined` when it has no send transport. */
  receivedBytes(): Promise<number> | undefined {
    return this.#send?.receivedBytes();
  }

  /** Bytes sent on the client's receive transport; `undefined` before that transport is open. */
  receiverBytes(): Promise<ReceiverBytes> | undefined {
    return this.#receive?.receiverBytes();
  }

  /**
   * Applies a limit step to a client that sends too much (SPEC MS5). Paused tracks look as if their publisher had
   * paused them, so that the publisher may resume them.
   * @throws PlenaryError as {@link Publications} does
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

  /** Video starts paused: the client's receiver is not ready yet, so the key frame would be lost. */
  async subscribe(tracks: readonly TrackHome[]): Promise<ControlReply<'subscribe'>> {
    const subscriptions = this.#openSubscriptions();
    const calls = this.#spend(subscriptions.countNew(tracks));
    const reply = await subscriptions.add(tracks, (track) => track.kind === 'video', PULL_DEADLINE_MS);
    this.#reportFailed(reply.failed);
    return { ...reply, calls };
  }

  #reportFailed(failed: readonly FailedTrack[]): void {
    for (const { error } of failed) this.#ports.onFault('consume', PlenaryError.fromWire(error));
  }

  /** @returns the number of mediasoup calls */
  unsubscribe(consumerIds: Parameters<PeerConsumers['remove']>[0]): number {
    const subscriptions = this.#openSubscriptions();
    const ids = [...new Set(consumerIds)];
    const calls = this.#spend(subscriptions.countOpen(ids));
    subscriptions.remove(ids);
    return calls;
  }

  /** @returns the number of mediasoup calls; unchanged values take none */
  async updateConsumers(updates: readonly ConsumerUpdate[]): Promise<number> {
    const subscriptions = this.#openSubscriptions();
    const calls = this.#spend(subscriptions.countChanges(updates));
    await subscriptions.update(updates);
    return calls;
  }

  /** Frees everything. Repeated calls have no effect. */
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
    // The transports, their DTLS and the pipes of the first consumers are opened in parallel.
    const receive = this.#openTransport(lease.router);
    const send = media.publish ? this.#openTransport(lease.router) : Promise.resolve(undefined);
    const subscriptions = new PeerConsumers({
      rtpCapabilities: this.#ports.getsRetransmissions ? capabilities : withoutResends(capabilities),
      receive,
      reach: (track, onSuperseded) => this.#ports.reach(lease.router, track, onSuperseded),
      timers: this.#ports.timers,
      onConsumerClosed: (consumerId, trackId, isPathLost) => {
        this.#ended.set(consumerId, trackId);
        forgetOldest(this.#ended, MAX_ENDED);
        this.#notifyEnded(consumerId, trackId, isPathLost);
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

  #notifyUnreached(): void {
    this.link?.notify('peer.unreached', this.placed);
  }

  #notifyEnded(consumerId: ConsumerId, trackId: TrackId, isPathLost = false): void {
    const news = { ...this.placed, consumerId, trackId };
    this.link?.notify('consumer.closed', isPathLost ? { ...news, isPathLost } : news);
  }

  #transport(transportId: TransportId): ClientTransport {
    const transport = this.#transports.get(transportId);
    if (transport === undefined) throw new PlenaryError('transport_not_found');
    return transport;
  }

  #openSubscriptions(): PeerConsumers {
    if (this.#subscriptions === undefined || this.#closed) throw new PlenaryError('media_lost');
    return this.#subscriptions;
  }
}
