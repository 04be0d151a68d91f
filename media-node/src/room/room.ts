import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import type {
  ControlReply,
  ControlRequest,
  LoggedEvent,
  PeerId,
  PlacedPeer,
  RoomId,
  RouterId,
  TrackEndReason,
  TrackId,
} from '@plenary/cluster';
import { selectWorker } from '../engine/select-worker.ts';
import { PipeHomes } from '../pipe/pipe-homes.ts';
import { PipeLinks } from '../pipe/pipe-links.ts';
import { TrackRoutes } from '../pipe/track-routes.ts';
import type { HomeTrack } from './home-track.ts';
import { Peer } from './peer.ts';
import type { PeerCloseReason } from './peer.ts';
import type { PeerLink } from './peer-link.ts';
import type { RoomContext } from './room-context.ts';
import { RoomRouters } from './room-routers.ts';
import { RoomSpeakers } from './speakers.ts';
import { WorkerTally } from './worker-tally.ts';

export interface RoomPorts {
  /** Peers that joined on a worker lately, over all rooms. */
  readonly recentPeersOn: (workerIndex: number) => number;
  readonly onPeerAdded: (workerIndex: number) => void;
  readonly onPeerClosed: (workerIndex: number) => void;
  /** Charges calls of mediasoup to a peer. @throws PlenaryError `rate_limited` */
  readonly spend: (placed: PlacedPeer, calls: number) => void;
  /** Called whenever the room may have become empty. */
  readonly onMaybeEmpty: (room: Room) => void;
}

/** The part of a room that this node hosts: its peers, their routers, and pipes to the room's other media nodes. */
export class Room {
  readonly id: RoomId;
  readonly pipes: PipeLinks;
  readonly routes: TrackRoutes;
  readonly pipeHomes: PipeHomes;
  readonly #context: RoomContext;
  readonly #ports: RoomPorts;
  readonly #peers = new Map<PeerId, Peer>();
  readonly #tally = new WorkerTally();
  readonly #tracks = new Map<TrackId, HomeTrack>();
  readonly #routers: RoomRouters;
  readonly #speakers: RoomSpeakers;
  /** When the store first named another media node for a peer that is still hosted here, in milliseconds. */
  readonly #staleSince = new Map<Peer, number>();

  constructor(id: RoomId, context: RoomContext, ports: RoomPorts) {
    this.id = id;
    this.#context = context;
    this.#ports = ports;
    this.#speakers = new RoomSpeakers(
      (trackId) => this.#tracks.get(trackId)?.peerId,
      (speakers) => {
        this.#anyLink()?.notify('speakers', { roomId: id, speakers: [...speakers] });
      },
    );
    this.#routers = new RoomRouters(
      context.pool,
      () => {
        ports.onMaybeEmpty(this);
      },
      (routerId) => {
        this.#speakers.routerClosed(routerId);
      },
    );
    this.pipeHomes = new PipeHomes(
      context.mediaNodeId,
      context.metrics,
      (routerId) => this.#routers.acquireExisting(routerId),
      (router, track, onSuperseded) => this.routes.holdForPipe(router, track, onSuperseded),
      context.origin.machine,
    );
    this.pipes = new PipeLinks({
      roomId: id,
      datacenter: context.datacenter,
      origin: context.origin,
      nodes: context.nodes,
      metrics: context.metrics,
      logger: context.logger,
      lines: context.lines,
      timers: context.timers,
      lingerMs: context.pipeLingerMs,
      localHomeSide: (key, requester) => this.pipeHomes.localSide(key, requester),
      acquireRouter: (workerIndex) => this.#routers.acquire(workerIndex),
      onFault: this.#onFault,
    });
    this.routes = new TrackRoutes({
      roomId: id,
      ownNodeId: context.mediaNodeId,
      datacenter: context.datacenter,
      gateways: context.store.gateways,
      nodes: context.nodes,
      links: this.pipes,
      logger: context.logger,
      timers: context.timers,
      gatewayPatienceMs: context.gatewayPatienceMs,
      holdHome: (trackId, holder) => {
        const track = this.#tracks.get(trackId);
        if (track === undefined) throw new PlenaryError('track_not_found');
        return track.hold(holder);
      },
      homeRouterOf: (trackId) => this.#tracks.get(trackId)?.routerId,
      onFault: this.#onFault,
    });
  }

  get isEmpty(): boolean {
    return this.#peers.size === 0 && this.#routers.isEmpty;
  }

  peers(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** Finds the peer, whatever its epoch. */
  find(peerId: PeerId): Peer | undefined {
    return this.#peers.get(peerId);
  }

  /**
   * Hosts a peer. A repeat of the same epoch gives the same peer; a higher epoch replaces the one that is here.
   * @throws PlenaryError `no_media_node` when no worker is alive; as {@link Peer.admit}
   */
  async admit(request: ControlRequest<'peer.admit'>, link: PeerLink): Promise<ControlReply<'peer.admit'>> {
    const existing = this.#peers.get(request.peerId);
    if (existing?.placed.epoch === request.epoch) {
      existing.attach(link);
      return existing.admit(request);
    }
    // The new peer is added first: closing the last peer before that would remove the room.
    const admission = this.#addPeer(request, link).admit(request);
    existing?.close('replaced');
    return admission;
  }

  /** Returns the router that hosts a track of this node. @throws PlenaryError `track_not_found` */
  locate(trackId: TrackId): RouterId {
    const track = this.#tracks.get(trackId);
    if (track === undefined || track.producer.closed) throw new PlenaryError('track_not_found');
    return track.routerId;
  }

  /** Closes the peers of a worker that died, because their routers died with it; their edges are notified. */
  workerDied(workerIndex: number): void {
    for (const peer of [...this.#peers.values()]) {
      if (peer.workerIndex === workerIndex) peer.close('worker_died');
    }
    this.#routers.workerDied(workerIndex);
  }

  /**
   * Writes the current records of tracks again; of all tracks after the store was unreachable and may have lost them.
   */
  republish(tracks: Iterable<HomeTrack> = this.#tracks.values()): void {
    for (const track of tracks) this.#republish(track);
  }

  /**
   * Writes the track records that the store lacks, and ends the records of tracks that have ended (SPEC RC1, RC22).
   * @throws PlenaryError `store_unavailable`
   */
  async reconcileRecords(): Promise<void> {
    // A room without peers here only pulls tracks, and their home nodes publish those.
    if (this.#peers.size === 0) return;
    const { store, mediaNodeId, metrics } = this.#context;
    const named = [...this.#tracks.values()].filter(({ producer }) => !producer.closed);
    const result = await store.recovery.republishTracks(
      this.id,
      mediaNodeId,
      named.map((track) => track.stored),
    );
    if (result.lostTracks > 0) metrics.repairs.inc({ what: 'tracks' }, result.lostTracks);
    this.deliver(result.events, undefined);
    const ghosts = result.unlisted.filter((trackId) => !this.#tracks.has(trackId));
    if (ghosts.length > 0) metrics.repairs.inc({ what: 'gone' }, ghosts.length);
    this.#endRecords(ghosts, 'transport_closed', undefined);
    const verdicts = new Map(result.verdicts.map(({ trackId, verdict }) => [trackId, verdict]));
    this.#reviveEnded(named.filter(({ trackId }) => verdicts.get(trackId) === 'ended'));
    this.#closeStale(named.filter(({ trackId }) => verdicts.get(trackId) === 'stale'));
  }

  /**
   * Publishes tracks again that the store ended because somebody took this node for dead. Only peers with a connected
   * edge get this, and only while the node is announced: otherwise it would be taken for dead again.
   */
  #reviveEnded(ended: readonly HomeTrack[]): void {
    if (this.#context.refusal() !== undefined) return;
    for (const track of ended) {
      if (this.#tracks.get(track.trackId) !== track || track.producer.closed) continue;
      if (this.#peers.get(track.peerId)?.link !== undefined) this.#republish(track);
    }
  }

  /**
   * Closes peers that the store has placed elsewhere for longer than the grace, in case no edge could tell this node
   * (SPEC RC18).
   */
  #closeStale(stale: readonly HomeTrack[]): void {
    const { clock, orphanGraceMs } = this.#context;
    const nowMs = clock.monotonicMs();
    const peers = new Set(
      stale.map(({ peerId }) => this.#peers.get(peerId)).filter((peer) => peer !== undefined),
    );
    for (const peer of this.#staleSince.keys()) if (!peers.has(peer)) this.#staleSince.delete(peer);
    for (const peer of peers) {
      const sinceMs = this.#staleSince.get(peer) ?? nowMs;
      this.#staleSince.set(peer, sinceMs);
      if (nowMs - sinceMs <= orphanGraceMs) continue;
      this.#staleSince.delete(peer);
      peer.close('replaced');
    }
  }

  /** Passes on events that the node itself caused: to one edge only, which forwards them to the whole room. */
  deliver(events: readonly LoggedEvent[], preferred: PeerLink | undefined): void {
    if (events.length === 0) return;
    const link = preferred ?? this.#anyLink();
    if (link === undefined) {
      // No client gets these events live; clients find the gap in the log's order and request the missed events
      // (LG2).
      this.#context.metrics.errors.inc({ where: 'room.events', code: 'media_unavailable' });
      return;
    }
    link.notify('room.events', { roomId: this.id, events: [...events] });
  }

  /** The node drains: nodes that pull tracks through it are asked to take another path. */
  leave(): void {
    this.routes.leave();
    this.pipeHomes.requestMoves();
  }

  /** The drain was cancelled: the node stays. */
  stay(): void {
    this.routes.stay();
    for (const peer of this.#peers.values()) peer.cancelMove();
  }

  closePeers(reason: PeerCloseReason): void {
    for (const peer of [...this.#peers.values()]) peer.close(reason);
  }

  close(reason: PeerCloseReason): void {
    this.closePeers(reason);
    this.pipes.close();
  }

  #addPeer(request: ControlRequest<'peer.admit'>, link: PeerLink): Peer {
    const choice = selectWorker(
      this.#context.pool.alive().map((worker) => ({
        index: worker.index,
        cpu: worker.cpu,
        recentPeers: this.#ports.recentPeersOn(worker.index),
        roomPeers: this.#tally.count(worker.index),
      })),
      this.#context.workerPackingLimit,
    );
    if (choice === undefined) throw new PlenaryError('no_media_node', 'No worker is alive.');
    const { roomId, peerId, epoch, network, person } = request;
    const requester = { roomId, peerId, person };
    const { mediaNodeId, store, timers, metrics, reach, noResends } = this.#context;
    const peer = new Peer(
      {
        placed: { roomId, peerId, epoch },
        workerIndex: choice.index,
        requester,
        getsRetransmissions: !noResends.has(requester),
        spend: (calls) => {
          this.#ports.spend(peer.placed, calls);
        },
        acquireRouter: (workerIndex) => this.#routers.acquire(workerIndex),
        reach: (router, track, onSuperseded) => this.routes.hold(router, track, onSuperseded),
        publications: {
          homeNodeId: mediaNodeId,
          store,
          onTrack: (track) => this.#tracks.set(track.trackId, track),
          onTrackGone: (track) => this.#tracks.delete(track.trackId),
          onDemand: (track) => {
            peer.notifyDemand(track);
          },
          timers,
          onVolumes: (router, volumes) => {
            this.#speakers.volumesChanged(router.id, volumes);
          },
          endRecords: (trackIds, reason) => {
            this.#endRecords(trackIds, reason, peer.link);
          },
          republishLater: (track) => {
            this.#republish(track);
          },
          onFault: this.#onFault,
        },
        timers,
        path: {
          found: () => reach.found(peer),
          left: () => reach.left(peer),
          missed: () => {
            metrics.unreachedPeers.inc();
            reach.missed({ peerId, network });
          },
        },
        deliver: (events) => {
          this.deliver(events, peer.link);
        },
        onFault: this.#onFault,
        onClosed: (closed, reason, trackIds) => {
          this.#peerClosed(closed, reason, trackIds);
        },
      },
      link,
    );
    this.#peers.set(peerId, peer);
    this.#tally.add(choice.index);
    this.#ports.onPeerAdded(choice.index);
    this.#context.metrics.peers.inc();
    this.#context.logger.info(
      { roomId, peerId, epoch, worker: choice.index, reason: choice.reason },
      'peer admitted',
    );
    return peer;
  }

  #peerClosed(peer: Peer, reason: PeerCloseReason, trackIds: readonly TrackId[]): void {
    const { roomId, peerId, epoch } = peer.placed;
    const { logger, metrics } = this.#context;
    if (this.#peers.get(peerId) === peer) this.#peers.delete(peerId);
    this.#tally.remove(peer.workerIndex);
    this.#ports.onPeerClosed(peer.workerIndex);
    metrics.peers.dec();
    logger.info({ roomId, peerId, epoch, reason }, 'peer closed');
    const { link } = peer;
    switch (reason) {
      case 'worker_died':
      case 'transport_failed':
      case 'asks_too_much':
        this.#notifyLost(peer, reason === 'worker_died' ? reason : 'transport_failed');
        this.#endRecords(trackIds, reason === 'worker_died' ? 'worker_died' : 'transport_closed', link);
        break;
      case 'node_stopping':
        this.#notifyLost(peer, 'node_lost');
        this.#endRecords(trackIds, 'node_lost', link);
        break;
      case 'over_limit':
        this.#notifyLost(peer, 'transport_failed');
        this.#endRecords(trackIds, 'over_limit', link);
        break;
      case 'orphaned':
        metrics.lost.inc({ reason });
        // The orphaned peer leaves the roster too; if it is placed elsewhere by now, only these tracks end.
        this.#endRecords(trackIds, 'peer_left', link);
        break;
      case 'dropped':
      case 'replaced':
      case 'admit_failed':
        this.#endRecords(trackIds, 'transport_closed', link);
        break;
    }
    this.#ports.onMaybeEmpty(this);
  }

  #notifyLost(peer: Peer, reason: 'worker_died' | 'transport_failed' | 'node_lost'): void {
    this.#context.metrics.lost.inc({ reason });
    peer.link?.notify('peer.lost', { ...peer.placed, reason });
  }

  #endRecords(trackIds: readonly TrackId[], reason: TrackEndReason, preferred: PeerLink | undefined): void {
    const [first] = trackIds;
    if (first === undefined) return;
    const { outbox, store } = this.#context;
    outbox.submit({
      key: `end ${first}`,
      roomId: this.id,
      apply: () => store.roomLog.endTracks(this.id, trackIds, reason),
      deliver: (events) => {
        this.deliver(events, preferred);
      },
    });
  }

  #republish(track: HomeTrack): void {
    const { outbox, store } = this.#context;
    outbox.submit({
      key: `publish ${track.trackId}`,
      roomId: this.id,
      apply: async () => {
        // The track may have ended while this change waited.
        if (this.#tracks.get(track.trackId) !== track || track.producer.closed) return [];
        try {
          return await store.roomLog.publishTrack(this.id, track.stored);
        } catch (thrown) {
          // The store knows a newer placement, so the peer is on another media node now.
          if (toPlenaryError(thrown).code === 'stale_epoch') this.#peers.get(track.peerId)?.close('replaced');
          throw thrown;
        }
      },
      deliver: (events) => {
        this.deliver(events, this.#peers.get(track.peerId)?.link);
      },
    });
  }

  /** Chooses the same edge for as long as it has a peer here, so that the room gets each notice once. */
  #anyLink(): PeerLink | undefined {
    for (const peer of this.#peers.values()) {
      if (peer.link !== undefined) return peer.link;
    }
    return this.#context.anyEdge();
  }

  readonly #onFault = (where: string, thrown: unknown): void => {
    const error = toPlenaryError(thrown);
    this.#context.metrics.errors.inc({ where, code: error.code });
    this.#context.logger.debug({ err: error, where, roomId: this.id }, 'a request failed');
  };
}
