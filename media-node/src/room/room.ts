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
  /** Peers of all rooms on a worker. */
  /** Peers of all rooms that came to a worker lately. */
  readonly recentPeersOn: (workerIndex: number) => number;
  readonly onPeerAdded: (workerIndex: number) => void;
  readonly onPeerClosed: (workerIndex: number) => void;
  /** Charges calls of mediasoup to a peer. @throws PlenaryError `rate_limited` */
  readonly spend: (placed: PlacedPeer, calls: number) => void;
  /** Called whenever the room may hold nothing any more. */
  readonly onMaybeEmpty: (room: Room) => void;
}

/** What this node hosts of one room: its peers here, their routers, and the pipes to where else the room lives. */
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
  /** Since when the store has known peers of this node elsewhere. */
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
        this.#speakers.routerGone(routerId);
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
      localHomeSide: (key, asker) => this.pipeHomes.localSide(key, asker),
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

  /** The peer, whatever its epoch. */
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
    // The new one comes first: were the old one the last thing here, the room would be given up between the two.
    const admission = this.#addPeer(request, link).admit(request);
    existing?.close('replaced');
    return admission;
  }

  /** Which router hosts a track of this node. @throws PlenaryError `track_not_found` */
  locate(trackId: TrackId): RouterId {
    const track = this.#tracks.get(trackId);
    if (track === undefined || track.producer.closed) throw new PlenaryError('track_not_found');
    return track.routerId;
  }

  /** A worker died, and its routers with it: its peers are lost, and hear of it. */
  workerDied(workerIndex: number): void {
    for (const peer of [...this.#peers.values()]) {
      if (peer.workerIndex === workerIndex) peer.close('worker_died');
    }
    this.#routers.workerDied(workerIndex);
  }

  /** Writes the records of tracks again, as they are now; of all, when the store was away and may have forgotten them. */
  republish(tracks: Iterable<HomeTrack> = this.#tracks.values()): void {
    for (const track of tracks) this.#republish(track);
  }

  /**
   * Writes the records of all tracks again that the store lacks, and ends those of tracks that are gone (SPEC RC1, RC22).
   * @throws PlenaryError `store_unavailable`
   */
  async publishAgain(): Promise<void> {
    // What is only pulled here is published by its home.
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
   * Somebody took this node for dead. Whose edge is connected goes on here, and is to be seen again; but not before the node
   * is announced, else it would be taken for dead again.
   */
  #reviveEnded(ended: readonly HomeTrack[]): void {
    if (this.#context.refusal() !== undefined) return;
    for (const track of ended) {
      if (this.#tracks.get(track.trackId) !== track || track.producer.closed) continue;
      if (this.#peers.get(track.peerId)?.link !== undefined) this.#republish(track);
    }
  }

  /** Peers that live elsewhere by now, though nobody could tell this node, are closed after a while (SPEC RC18). */
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

  /** Passes on what the node wrote by itself: to one edge only, which tells the whole room. */
  deliver(events: readonly LoggedEvent[], preferred: PeerLink | undefined): void {
    if (events.length === 0) return;
    const link = preferred ?? this.#anyLink();
    if (link === undefined) {
      // Nobody hears it live; clients find the gap in the log's order and ask for what they missed (LG2).
      this.#context.metrics.errors.inc({ where: 'room.events', code: 'media_unavailable' });
      return;
    }
    link.notify('room.events', { roomId: this.id, events: [...events] });
  }

  /** The node is going: whoever gets tracks of other nodes through it is to take another way. */
  leave(): void {
    this.routes.leave();
    this.pipeHomes.askToMove();
  }

  /** The node stays after all. */
  stay(): void {
    this.routes.stay();
    for (const peer of this.#peers.values()) peer.mayStay();
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
    const asker = { roomId, peerId, person };
    const { mediaNodeId, store, timers, metrics, reach, noResends } = this.#context;
    const peer = new Peer(
      {
        placed: { roomId, peerId, epoch },
        workerIndex: choice.index,
        asker,
        isSentAgain: !noResends.has(asker),
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
            peer.tellDemand(track);
          },
          timers,
          onVolumes: (router, volumes) => {
            this.#speakers.heard(router.id, volumes);
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
        this.#tellLost(peer, reason === 'worker_died' ? reason : 'transport_failed');
        this.#endRecords(trackIds, reason === 'worker_died' ? 'worker_died' : 'transport_closed', link);
        break;
      case 'node_stopping':
        this.#tellLost(peer, 'node_lost');
        this.#endRecords(trackIds, 'node_lost', link);
        break;
      case 'over_limit':
        this.#tellLost(peer, 'transport_failed');
        this.#endRecords(trackIds, 'over_limit', link);
        break;
      case 'orphaned':
        metrics.lost.inc({ reason });
        // It leaves the roster too; but where it lives elsewhere by now, only these tracks are gone.
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

  #tellLost(peer: Peer, reason: 'worker_died' | 'transport_failed' | 'node_lost'): void {
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
        // It may have ended while this waited.
        if (this.#tracks.get(track.trackId) !== track || track.producer.closed) return [];
        try {
          return await store.roomLog.publishTrack(this.id, track.stored);
        } catch (thrown) {
          // The store names a newer placement: the peer lives elsewhere now.
          if (toPlenaryError(thrown).code === 'stale_epoch') this.#peers.get(track.peerId)?.close('replaced');
          throw thrown;
        }
      },
      deliver: (events) => {
        this.deliver(events, this.#peers.get(track.peerId)?.link);
      },
    });
  }

  /** The same edge for as long as it has a peer here, so that a notice for the whole room is told once. */
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
