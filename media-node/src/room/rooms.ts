import {
  CALLS_PER_ADMISSION,
  EDGE_ID,
  PlenaryError,
  REPUBLISH_INTERVAL_MS,
  ROOMS_REPUBLISHED_AT_ONCE,
  sideBySide,
  toPlenaryError,
  inBackground,
} from '@plenary/cluster';
import type {
  ControlReply,
  ControlRequest,
  Epoch,
  MediaNodeId,
  PeerId,
  PlacedPeer,
  RoomId,
  TrackId,
} from '@plenary/cluster';
import type { PipeRequester, PipeKey, ProducerState } from '../pipe/home-side.ts';
import type { PipeHomes } from '../pipe/pipe-homes.ts';
import { EpochFence } from './epoch-fence.ts';
import type { Peer } from './peer.ts';
import { PeerBudgets } from './peer-budgets.ts';
import type { PeerLink } from './peer-link.ts';
import { Room } from './room.ts';
import { RecentJoins } from './recent-joins.ts';
import type { RoomContext } from './room-context.ts';
import { WorkerTally } from './worker-tally.ts';

/** All rooms that have peers or pulled tracks on this node, and the control links that may speak for their peers. */
export class Rooms {
  readonly #context: RoomContext;
  readonly #rooms = new Map<RoomId, Room>();
  readonly #fence: EpochFence;
  readonly #recentJoins = new RecentJoins();
  readonly #recentByWorker = new Map<number, RecentJoins>();
  readonly #tally = new WorkerTally();
  readonly #budgets: PeerBudgets;
  /** Cancels the grace of each peer whose control link closed. */
  readonly #orphans = new Map<Peer, () => void>();
  #endRepublishing: () => void = () => undefined;
  #isRepublishing = false;
  #isClosed = false;

  constructor(context: RoomContext) {
    this.#context = context;
    this.#budgets = new PeerBudgets(context);
    this.#fence = new EpochFence(context.clock, (peer) => this.#find(peer)?.placed.epoch === peer.epoch);
  }

  get peerCount(): number {
    return this.#tally.total;
  }

  /** Counts the peers that joined within the last `JOIN_INTERVAL_MS`. */
  get recentJoins(): number {
    return this.#recentJoins.count(this.#context.clock.monotonicMs());
  }

  room(roomId: RoomId): Room | undefined {
    return this.#rooms.get(roomId);
  }

  /**
   * Hosts a peer under an epoch (SPEC EP2, EP3).
   * @throws PlenaryError `stale_epoch`; `rate_limited`; `no_media_node` while this node admits no new peers;
   *   `shutting_down`; `invalid_media_parameters`, `media_lost`
   */
  async admit(request: ControlRequest<'peer.admit'>, link: PeerLink): Promise<ControlReply<'peer.admit'>> {
    const hosted = this.#find(request);
    // The budget is charged first: a refused admission must not end the placement before it.
    if (hosted?.placed.epoch !== request.epoch) this.#budgets.spend(request, CALLS_PER_ADMISSION);
    this.#fence.admit(request);
    if (hosted === undefined) {
      this.#refuseNew();
      this.#recentJoins.note(this.#context.clock.monotonicMs());
    } else this.#endGrace(hosted);
    const room = this.#rooms.get(request.roomId) ?? this.#addRoom(request.roomId);
    try {
      return await room.admit(request, link);
    } finally {
      this.#removeIfEmpty(room);
    }
  }

  /** Sends the notices of a peer to this link from now on. @throws PlenaryError `stale_epoch` */
  attach(placed: PlacedPeer, link: PeerLink): { alive: boolean } {
    const peer = this.#current(placed);
    if (peer === undefined) return { alive: false };
    this.#endGrace(peer);
    peer.attach(link);
    // An edge that took this node for dead may have ended the peer's records; all are published again soon anyway
    // (RC1).
    if (peer.claimRepublication(this.#context.clock.monotonicMs()))
      this.#rooms.get(placed.roomId)?.republish(peer.tracks());
    return { alive: true };
  }

  /**
   * Attaches as {@link attach} does, and returns the peer's traffic as far as it is known. @throws PlenaryError
   * `stale_epoch`
   */
  async attachAndCount(placed: PlacedPeer, link: PeerLink): Promise<ControlReply<'peer.attach'>> {
    const peer = this.#current(placed);
    // A link that is attached already has had every notice, so a repeat only reads the traffic and publishes nothing
    // again.
    const reply = peer?.link === link ? { alive: true } : this.attach(placed, link);
    return { ...reply, ...(await peer?.traffic()) };
  }

  /** Whether this node hosts a peer under exactly this epoch. */
  hosts(placed: PlacedPeer): boolean {
    return this.#find(placed)?.placed.epoch === placed.epoch;
  }

  /** Frees a peer up to an epoch; a newer placement stays. */
  drop(placed: PlacedPeer): void {
    this.#fence.drop(placed);
    const peer = this.#find(placed);
    if (peer !== undefined && peer.placed.epoch <= placed.epoch) this.#close(peer, 'dropped');
  }

  /**
   * Returns the peer that a request names.
   * @throws PlenaryError `stale_epoch` when a newer placement was seen; `media_lost` when the peer is not hosted here
   */
  peer(placed: PlacedPeer): Peer {
    const peer = this.#current(placed);
    if (peer === undefined) throw new PlenaryError('media_lost');
    return peer;
  }

  /**
   * Returns the home sides of a room's pipes. @throws PlenaryError `track_not_found` when this node hosts nothing of
   * the room
   */
  pipeHomes(key: Pick<PipeKey, 'roomId'>): PipeHomes {
    const room = this.#rooms.get(key.roomId);
    if (room === undefined) throw new PlenaryError('track_not_found');
    return room.pipeHomes;
  }

  /** Applies a home node's notice about a track that this node pulls. */
  producerChanged(key: PipeKey, trackId: TrackId, state: ProducerState): void {
    this.#rooms.get(key.roomId)?.pipes.producerChanged(key, trackId, state);
  }

  /** Moves tracks of a home to another path, as their gateway requests. */
  pipeMoved(key: PipeKey, homeNodeId: MediaNodeId): void {
    this.#rooms.get(key.roomId)?.routes.movedByGateway(key, homeNodeId);
  }

  /** Closes this node's side of a pipe after the home node closed its own. */
  pipeClosed(key: PipeKey): void {
    this.#rooms.get(key.roomId)?.pipes.closedByHome(key);
  }

  /**
   * Attaches peers to a new control link of their edge, if their link to the same incarnation of that edge broke.
   * Peers that the edge does not claim within the grace are ones that it has forgotten (SPEC CL22).
   */
  linkOpened(link: PeerLink): void {
    if (link.caller.kind !== 'edge') return;
    for (const peer of this.peers()) {
      const { id, incarnation } = peer.lastEdge;
      if (id !== link.caller.id || incarnation !== link.caller.incarnation) continue;
      // An abandoned link may open late and close at once, so it never replaces a live one.
      if (peer.link === undefined) peer.attach(link);
    }
  }

  /** Starts the grace of a closed link's peers, within which another edge can resume them (SPEC CL5). */
  linkClosed(link: PeerLink, requester: PipeRequester): void {
    for (const room of this.#rooms.values()) room.pipeHomes.requesterGone(requester);
    for (const peer of this.peers()) {
      if (peer.link !== link) continue;
      peer.link = undefined;
      this.#startGrace(peer);
    }
  }

  workerDied(workerIndex: number): void {
    for (const room of [...this.#rooms.values()]) room.workerDied(workerIndex);
  }

  /** Starts publishing the records of this node at intervals (SPEC RC1). */
  startRepublishing(): void {
    this.#endRepublishing = this.#context.timers.after(REPUBLISH_INTERVAL_MS, () => {
      inBackground(() =>
        this.republish().finally(() => {
          if (!this.#isClosed) this.startRepublishing();
        }),
      );
    });
  }

  /** The store answers again: the outbox is flushed, and this node's records are published again. */
  storeReturned(): void {
    this.#context.outbox.flush();
    inBackground(() => this.republish());
  }

  /** Publishes the records of this node again, several rooms at a time. Never rejects. */
  async republish(): Promise<void> {
    const { store, metrics, logger } = this.#context;
    if (this.#isRepublishing || !store.isAvailable()) return;
    this.#isRepublishing = true;
    try {
      await sideBySide(this.#rooms.values(), ROOMS_REPUBLISHED_AT_ONCE, (room) =>
        // A part of a Redis Cluster may be unreachable; its rooms must not hold up the others.
        room.reconcileRecords().catch((thrown: unknown) => {
          metrics.errors.inc({ where: 'republish', code: toPlenaryError(thrown).code });
          logger.debug(
            { err: thrown, roomId: room.id },
            'track records of a room not published again; the next interval retries',
          );
        }),
      );
    } finally {
      this.#isRepublishing = false;
    }
  }

  /** Whether this node still relays tracks of other nodes to further nodes. */
  get isRelaying(): boolean {
    return [...this.#rooms.values()].some((room) => room.pipeHomes.isRelaying);
  }

  /** The node drains: it stops being a gateway, and the nodes behind it are asked to take another path. */
  leave(): void {
    for (const room of this.#rooms.values()) room.leave();
  }

  /** The drain was cancelled: the node stays. */
  stay(): void {
    for (const room of this.#rooms.values()) room.stay();
  }

  /**
   * Frees all peers and notifies their edges that the node is lost. Tracks that are relayed to other nodes continue.
   */
  closePeers(): void {
    for (const room of [...this.#rooms.values()]) room.closePeers('node_stopping');
  }

  /** Frees everything and notifies the edges of all peers that the node is lost. */
  close(): void {
    this.#isClosed = true;
    this.#endRepublishing();
    for (const room of [...this.#rooms.values()]) room.close('node_stopping');
    for (const endGrace of this.#orphans.values()) endGrace();
    this.#orphans.clear();
    this.#budgets.close();
  }

  /** Lists all peers that are hosted here. */
  peers(): readonly Peer[] {
    return [...this.#rooms.values()].flatMap((room) => [...room.peers()]);
  }

  #find(peer: { readonly roomId: RoomId; readonly peerId: PeerId; readonly epoch: Epoch }): Peer | undefined {
    return this.#rooms.get(peer.roomId)?.find(peer.peerId);
  }

  /**
   * Returns the hosted peer of exactly this epoch, and closes one of an older epoch: that peer is placed elsewhere
   * now.
   */
  #current(placed: PlacedPeer): Peer | undefined {
    this.#fence.see(placed);
    const peer = this.#find(placed);
    if (peer === undefined || peer.placed.epoch === placed.epoch) return peer;
    this.#close(peer, 'replaced');
    return undefined;
  }

  #close(peer: Peer, reason: 'dropped' | 'replaced' | 'orphaned'): void {
    this.#endGrace(peer);
    peer.close(reason);
  }

  /** Frees a peer that no edge resumed; it leaves the roster unless another edge holds its session. */
  #orphaned(peer: Peer): void {
    const { roomId, peerId, epoch } = peer.placed;
    const { outbox, store, logger, orphanGraceMs, anyEdge } = this.#context;
    logger.warn({ roomId, peerId, orphanGraceMs }, 'no edge resumed the peer within its grace; closing it');
    this.#close(peer, 'orphaned');
    const lastEdgeId = EDGE_ID.parse(peer.lastEdge.id);
    outbox.submit({
      key: `remove ${roomId} ${peerId}`,
      roomId,
      apply: async () => {
        const live = await store.placements.placementOf(roomId, peerId);
        if (live?.edgeId !== lastEdgeId) return [];
        return store.roomLog.removePeer(roomId, peerId, epoch, 'connection_lost', live.holdEpoch);
      },
      deliver: (events) => {
        const room = this.#rooms.get(roomId);
        if (room === undefined) anyEdge()?.notify('room.events', { roomId, events: [...events] });
        else room.deliver(events, undefined);
      },
    });
  }

  /** A grace that is running continues: the link that closed was attached without a request of its edge. */
  #startGrace(peer: Peer): void {
    if (this.#orphans.has(peer)) return;
    this.#context.metrics.orphans.inc();
    this.#orphans.set(
      peer,
      this.#context.timers.after(this.#context.orphanGraceMs, () => {
        this.#orphaned(peer);
      }),
    );
  }

  #endGrace(peer: Peer): void {
    const cancel = this.#orphans.get(peer);
    if (cancel === undefined) return;
    cancel();
    this.#orphans.delete(peer);
    this.#context.metrics.orphans.dec();
  }

  #refuseNew(): void {
    const refusal = this.#context.refusal();
    if (refusal !== undefined) throw new PlenaryError('no_media_node', refusal);
    if (this.peerCount >= this.#context.maxPeers)
      throw new PlenaryError('no_media_node', 'The media node is full.');
  }

  #addRoom(roomId: RoomId): Room {
    const room = new Room(roomId, this.#context, {
      recentPeersOn: (index) =>
        this.#recentByWorker.get(index)?.count(this.#context.clock.monotonicMs()) ?? 0,
      onPeerAdded: (index) => {
        this.#tally.add(index);
        const recent = this.#recentByWorker.get(index) ?? new RecentJoins();
        recent.note(this.#context.clock.monotonicMs());
        this.#recentByWorker.set(index, recent);
      },
      onPeerClosed: (index) => {
        this.#tally.remove(index);
      },
      spend: (placed, calls) => {
        this.#budgets.spend(placed, calls);
      },
      onMaybeEmpty: (empty) => {
        this.#removeIfEmpty(empty);
      },
    });
    this.#rooms.set(roomId, room);
    this.#context.metrics.rooms.inc();
    return room;
  }

  #removeIfEmpty(room: Room): void {
    if (!room.isEmpty || this.#rooms.get(room.id) !== room) return;
    this.#rooms.delete(room.id);
    this.#context.metrics.rooms.dec();
  }
}
