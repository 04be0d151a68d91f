import { sideBySide, every } from '@plenary/cluster';
import type { Clock, Placement, PlacementStore, RoomLog } from '@plenary/cluster';
import type { EdgeId, MediaNodeId, PeerId, RoomId, TrackId } from '@plenary/cluster/ids';
import type { MediaLinks } from '../media/control-links.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { Departures } from './departures.ts';
import { ENTRY_DEADLINE_MS } from '../entry/entrance.ts';
import { MAX_SESSIONS_NAMED } from '../transport/client-socket.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { LocalRooms } from '../room/local-rooms.ts';

const SWEEP_INTERVAL_MS = 5_000;
/** A room is still swept for so long after its last session here was gone, in milliseconds. */
const NOTED_FOR_MS = 60_000;
/** Every how many sweeps the other holders of a room's sessions are told of it. */
const SWEEPS_PER_SEEKING = 2;
/** Rooms that are swept at a time. */
const ROOMS_AT_ONCE = 8;
/** Peers of one room that are judged at a time: a media node that does not answer holds up no others. */
const PEERS_AT_ONCE = 8;

export interface SweeperSettings {
  readonly edgeId: EdgeId;
  readonly placements: Pick<PlacementStore, 'previousPlacementOf' | 'list' | 'view'>;
  readonly roomLog: Pick<RoomLog, 'endTracks' | 'removePeer'>;
  readonly isStoreAvailable: () => boolean;
  readonly localRooms: LocalRooms;
  readonly departures: Pick<Departures, 'depart'>;
  readonly links: MediaLinks;
  /** For how long an edge or a node has surely been missing; see {@link Directory.missingForMs}. */
  readonly missingForMs: (id: EdgeId | MediaNodeId) => number;
  readonly leaseMs: number;
  readonly resumeWithinMs: number;
  readonly channel: RoomChannel;
  readonly clock: Clock;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/** What is to become of a peer whose edge is missing. */
export type SweepVerdict = 'keep' | 'remove' | 'ask_media_node';

/**
 * Judges one placement (SPEC SE36, SE37). Nothing is judged before owners had a lease's time to announce themselves, since
 * `edgeMissingMs` and `nodeMissingMs` count only time in which the registry could be read. A peer whose media node
 * lives may still be talking: its node is asked, and only after the time in which its client may resume.
 */
export function judgePlacement(question: {
  readonly edgeMissingMs: number;
  readonly nodeMissingMs: number;
  readonly leaseMs: number;
  readonly resumeWithinMs: number;
}): SweepVerdict {
  const { edgeMissingMs, nodeMissingMs, leaseMs, resumeWithinMs } = question;
  const graceMs = leaseMs + resumeWithinMs;
  if (edgeMissingMs <= graceMs) return 'keep';
  return nodeMissingMs > 2 * leaseMs ? 'remove' : 'ask_media_node';
}

const keyOf = ({ peerId, epoch }: Placement): string => `${peerId} ${epoch}`;

/** Removes what dead processes left in the rooms that this edge serves. Several edges may sweep one room. */
export class Sweeper {
  readonly #settings: SweeperSettings;
  /** Rooms beside those that are served now, with when they were noted. */
  readonly #noted = new Map<RoomId, number>();
  /** Since when this edge has been missing the session of a placement of its own, by room and placement. */
  readonly #missedSinceMs = new Map<RoomId, ReadonlyMap<string, number>>();
  /** Tracks of replaced placements that the last sweep of each room saw. */
  readonly #outdated = new Map<RoomId, ReadonlySet<TrackId>>();
  /** Sessions that this sweep misses and other edges may have. */
  readonly #toSeek: PeerId[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isSweeping = false;
  #sweeps = 0;

  constructor(settings: SweeperSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#timer = every(SWEEP_INTERVAL_MS, () => this.sweep());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Sweeps this room too, for a while: something of this edge's may be left in it. */
  note(roomId: RoomId): void {
    this.#noted.set(roomId, this.#settings.clock.monotonicMs());
  }

  /** Sweeps once. Never throws: the next sweep comes. */
  async sweep(): Promise<void> {
    const { localRooms, isStoreAvailable, clock } = this.#settings;
    if (this.#isSweeping || !isStoreAvailable()) return;
    this.#isSweeping = true;
    this.#sweeps += 1;
    try {
      for (const roomId of localRooms.roomIds()) this.#noted.set(roomId, clock.monotonicMs());
      await sideBySide(this.#noted.keys(), ROOMS_AT_ONCE, (roomId) =>
        this.#apart({ roomId }, () => this.#sweepRoom(roomId)),
      );
      this.#seekSessions();
      this.#forget();
    } finally {
      this.#isSweeping = false;
    }
  }

  /** One room, peer or track that cannot be dealt with costs no other one its sweep. */
  async #apart(what: Record<string, unknown>, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (fault) {
      this.#settings.reportFault('sweep', fault, what);
    }
  }

  async #sweepRoom(roomId: RoomId): Promise<void> {
    const { placements, localRooms, edgeId } = this.#settings;
    const placed = await placements.list(roomId);
    const missing = placed.filter(({ peerId }) => localRooms.find(peerId) === undefined);
    const own = missing.filter((placement) => placement.edgeId === edgeId);
    this.#noteMissed(roomId, own);
    await sideBySide(missing, PEERS_AT_ONCE, (placement) =>
      this.#apart({ roomId, peerId: placement.peerId }, () =>
        placement.edgeId === edgeId ? this.#miss(roomId, placement) : this.#judge(roomId, placement),
      ),
    );
    this.#seek(
      roomId,
      new Set(placed.map((placement) => placement.edgeId).filter((holder) => holder !== edgeId)),
    );
    await this.#endLostTracks(roomId, placed);
  }

  async #judge(roomId: RoomId, placement: Placement): Promise<void> {
    const { missingForMs, leaseMs, resumeWithinMs, links } = this.#settings;
    const verdict = judgePlacement({
      edgeMissingMs: missingForMs(placement.edgeId),
      // A node that answers is there, whatever became of its announcement.
      nodeMissingMs:
        links.get(placement.mediaNodeId)?.isUp === true ? 0 : missingForMs(placement.mediaNodeId),
      leaseMs,
      resumeWithinMs,
    });
    if (verdict === 'remove') await this.#remove(roomId, placement, 'node_lost');
    if (verdict === 'ask_media_node') await this.#ask(roomId, placement);
  }

  /** Since when each placement of this edge has been without its session; one that has it again begins anew. */
  #noteMissed(roomId: RoomId, missed: readonly Placement[]): void {
    const nowMs = this.#settings.clock.monotonicMs();
    const known = this.#missedSinceMs.get(roomId);
    const sinceMs = new Map(
      missed.map((placement) => [keyOf(placement), known?.get(keyOf(placement)) ?? nowMs] as const),
    );
    if (sinceMs.size > 0) this.#missedSinceMs.set(roomId, sinceMs);
    else this.#missedSinceMs.delete(roomId);
  }

  /**
   * The store says that this edge holds a session, and it does not: an unanswered command placed it, a failover brought it
   * back, or a previous life of this edge held it. Unless another edge says that it has it, it is removed (SPEC SE13).
   */
  async #miss(roomId: RoomId, placement: Placement): Promise<void> {
    const { clock, departures, leaseMs, resumeWithinMs } = this.#settings;
    const { peerId, epoch, holdEpoch, mediaNodeId } = placement;
    const nowMs = clock.monotonicMs();
    const sinceMs = this.#missedSinceMs.get(roomId)?.get(keyOf(placement)) ?? nowMs;
    // A session that is being entered is not missing yet.
    if (nowMs - sinceMs <= leaseMs + resumeWithinMs + ENTRY_DEADLINE_MS) {
      this.#toSeek.push(peerId);
      return;
    }
    await departures.depart({
      placed: { roomId, peerId, epoch },
      mediaNodeIds: [mediaNodeId],
      reason: 'connection_lost',
      knownHoldEpoch: holdEpoch,
      tenantId: undefined,
    });
  }

  /** Other edges are asked together for all sessions of this sweep: after a failover thousands may be missed at once. */
  #seekSessions(): void {
    const { channel, edgeId } = this.#settings;
    while (this.#toSeek.length > 0) {
      const peerIds = this.#toSeek.splice(0, MAX_SESSIONS_NAMED);
      channel.tellEdges({ type: 'sessions.lookup', peerIds, edgeId });
    }
  }

  /** The holders of sessions in a room may not know of it, after a start anew: now and then they are told. */
  #seek(roomId: RoomId, holders: ReadonlySet<EdgeId>): void {
    if (this.#sweeps % SWEEPS_PER_SEEKING !== 0) return;
    for (const edgeId of holders) this.#settings.channel.tellEdges({ type: 'room.lookup', roomId, edgeId });
  }

  /** Rooms in which this edge has had nothing for a while are swept no more. */
  #forget(): void {
    const { clock } = this.#settings;
    for (const [roomId, notedAtMs] of this.#noted) {
      if (clock.monotonicMs() - notedAtMs <= NOTED_FOR_MS || this.#missedSinceMs.has(roomId)) continue;
      this.#noted.delete(roomId);
      this.#outdated.delete(roomId);
    }
  }

  async #ask(roomId: RoomId, placement: Placement): Promise<void> {
    const { peerId, epoch, mediaNodeId } = placement;
    const link = this.#settings.links.get(mediaNodeId);
    if (link?.isUp !== true) return;
    // Asked, not attached: the edge that is missing here may serve the peer all the same.
    const { alive } = await link.call('peer.ask', { roomId, peerId, epoch });
    if (!alive) await this.#remove(roomId, placement, 'connection_lost');
  }

  async #remove(
    roomId: RoomId,
    placement: Placement,
    reason: 'node_lost' | 'connection_lost',
  ): Promise<void> {
    const { roomLog, channel, metrics } = this.#settings;
    const { peerId, epoch, holdEpoch } = placement;
    const events = await roomLog.removePeer(roomId, peerId, epoch, reason, holdEpoch);
    if (events.length > 0) metrics.swept.inc({ reason });
    channel.publishEvents(roomId, events);
  }

  /** Ends tracks whose node is gone, and those of placements that were replaced: nobody else would (SPEC SE14). */
  async #endLostTracks(roomId: RoomId, placed: readonly Placement[]): Promise<void> {
    const { placements, roomLog, channel, missingForMs, leaseMs, links } = this.#settings;
    const { tracks } = await placements.view(roomId);
    const epochs = new Map(placed.map(({ peerId, epoch }) => [peerId, epoch]));
    const outdated = new Set(
      tracks
        .filter(({ peerId, epoch }) => epoch < (epochs.get(peerId) ?? Infinity))
        .map(({ trackId }) => trackId),
    );
    const before = this.#outdated.get(roomId);
    this.#outdated.set(roomId, outdated);
    const lost = tracks.filter(({ trackId, homeNodeId }) => {
      // A peer that is placed anew keeps its old tracks until it has new ones: so it must have been seen before.
      if (before?.has(trackId) === true && outdated.has(trackId)) return true;
      return missingForMs(homeNodeId) > 2 * leaseMs && links.get(homeNodeId)?.isUp !== true;
    });
    const trackIds: TrackId[] = [];
    await sideBySide(lost, PEERS_AT_ONCE, async ({ trackId, peerId, epoch }) => {
      const previous = outdated.has(trackId)
        ? await placements.previousPlacementOf(roomId, peerId)
        : undefined;
      // Its peer is moving, and goes on there until it has moved (SPEC EP7).
      if (previous?.epoch !== epoch) trackIds.push(trackId);
    });
    if (trackIds.length === 0) return;
    channel.publishEvents(roomId, await roomLog.endTracks(roomId, trackIds, 'node_lost'));
  }
}
