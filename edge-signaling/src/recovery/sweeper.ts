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
/** How long a room is still swept after its last session at this edge ended, in milliseconds. */
const NOTED_FOR_MS = 60_000;
/** The other holders of a room's sessions are notified once in this number of sweeps. */
const SWEEPS_PER_LOOKUP = 2;
/** Rooms that are swept at a time. */
const ROOMS_AT_ONCE = 8;
/** Peers of one room that are judged at a time, so that a media node that does not answer delays no others. */
const PEERS_AT_ONCE = 8;

export interface SweeperSettings {
  readonly edgeId: EdgeId;
  readonly placements: Pick<PlacementStore, 'previousPlacementOf' | 'list' | 'view'>;
  readonly roomLog: Pick<RoomLog, 'endTracks' | 'removePeer'>;
  readonly isStoreAvailable: () => boolean;
  readonly localRooms: LocalRooms;
  readonly departures: Pick<Departures, 'depart'>;
  readonly links: MediaLinks;
  /** How long an edge or a node has certainly been missing, in milliseconds; see {@link Directory.missingForMs}. */
  readonly missingForMs: (id: EdgeId | MediaNodeId) => number;
  readonly leaseMs: number;
  readonly resumeWithinMs: number;
  readonly channel: RoomChannel;
  readonly clock: Clock;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/** The decision about a peer whose edge is missing. */
export type SweepVerdict = 'keep' | 'remove' | 'ask_media_node';

/**
 * Judges one placement (SPEC SE36, SE37). Owners first have a lease's time to announce themselves, because `edgeMissingMs` and
 * `nodeMissingMs` count only time in which the registry could be read. A peer whose media node runs may still be talking: the
 * edge asks its node, and only after the time in which its client may resume.
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

/** Removes records of dead processes from the rooms that this edge serves. Several edges may sweep one room. */
export class Sweeper {
  readonly #settings: SweeperSettings;
  /** The rooms that are swept, with the time at which each was last noted. */
  readonly #noted = new Map<RoomId, number>();
  /** The time since which a placement of this edge has had no session, by room and placement. */
  readonly #missingSinceMs = new Map<RoomId, ReadonlyMap<string, number>>();
  /** Tracks of replaced placements that the last sweep of each room saw. */
  readonly #outdated = new Map<RoomId, ReadonlySet<TrackId>>();
  /** Sessions that this sweep misses and that other edges may hold. */
  readonly #toLookUp: PeerId[] = [];
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

  /** Sweeps this room too for a while, because it may contain records of this edge. */
  note(roomId: RoomId): void {
    this.#noted.set(roomId, this.#settings.clock.monotonicMs());
  }

  /** Sweeps once. Never throws: the next sweep retries. */
  async sweep(): Promise<void> {
    const { localRooms, isStoreAvailable, clock } = this.#settings;
    if (this.#isSweeping || !isStoreAvailable()) return;
    this.#isSweeping = true;
    this.#sweeps += 1;
    try {
      for (const roomId of localRooms.roomIds()) this.#noted.set(roomId, clock.monotonicMs());
      await sideBySide(this.#noted.keys(), ROOMS_AT_ONCE, (roomId) =>
        this.#isolateFaults({ roomId }, () => this.#sweepRoom(roomId)),
      );
      this.#lookUpSessions();
      this.#forget();
    } finally {
      this.#isSweeping = false;
    }
  }

  /** Reports an error of the work, so that one failing room, peer or track does not stop the sweep of others. */
  async #isolateFaults(what: Record<string, unknown>, work: () => Promise<void>): Promise<void> {
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
    this.#noteMissing(roomId, own);
    await sideBySide(missing, PEERS_AT_ONCE, (placement) =>
      this.#isolateFaults({ roomId, peerId: placement.peerId }, () =>
        placement.edgeId === edgeId ? this.#handleMissing(roomId, placement) : this.#judge(roomId, placement),
      ),
    );
    this.#notifyHolders(
      roomId,
      new Set(placed.map((placement) => placement.edgeId).filter((holder) => holder !== edgeId)),
    );
    await this.#endLostTracks(roomId, placed);
  }

  async #judge(roomId: RoomId, placement: Placement): Promise<void> {
    const { missingForMs, leaseMs, resumeWithinMs, links } = this.#settings;
    const verdict = judgePlacement({
      edgeMissingMs: missingForMs(placement.edgeId),
      // A node that answers runs, even if its announcement lapsed.
      nodeMissingMs:
        links.get(placement.mediaNodeId)?.isUp === true ? 0 : missingForMs(placement.mediaNodeId),
      leaseMs,
      resumeWithinMs,
    });
    if (verdict === 'remove') await this.#remove(roomId, placement, 'node_lost');
    if (verdict === 'ask_media_node') await this.#checkAtMediaNode(roomId, placement);
  }

  /** Notes since when each placement of this edge has had no session; a session that returns resets the time. */
  #noteMissing(roomId: RoomId, missing: readonly Placement[]): void {
    const nowMs = this.#settings.clock.monotonicMs();
    const known = this.#missingSinceMs.get(roomId);
    const sinceMs = new Map(
      missing.map((placement) => [keyOf(placement), known?.get(keyOf(placement)) ?? nowMs] as const),
    );
    if (sinceMs.size > 0) this.#missingSinceMs.set(roomId, sinceMs);
    else this.#missingSinceMs.delete(roomId);
  }

  /**
   * Handles a session that this edge holds according to the store, but does not have: an unanswered command placed it, a failover
   * restored it, or a previous run of this edge held it. It is removed unless another edge claims it (SPEC SE13).
   */
  async #handleMissing(roomId: RoomId, placement: Placement): Promise<void> {
    const { clock, departures, leaseMs, resumeWithinMs } = this.#settings;
    const { peerId, epoch, holdEpoch, mediaNodeId } = placement;
    const nowMs = clock.monotonicMs();
    const sinceMs = this.#missingSinceMs.get(roomId)?.get(keyOf(placement)) ?? nowMs;
    // A session whose entry may be under way is not missing yet.
    if (nowMs - sinceMs <= leaseMs + resumeWithinMs + ENTRY_DEADLINE_MS) {
      this.#toLookUp.push(peerId);
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

  /** Looks up all missing sessions of this sweep in a few messages: after a failover thousands may be missing at once. */
  #lookUpSessions(): void {
    const { channel, edgeId } = this.#settings;
    while (this.#toLookUp.length > 0) {
      const peerIds = this.#toLookUp.splice(0, MAX_SESSIONS_NAMED);
      channel.tellEdges({ type: 'sessions.lookup', peerIds, edgeId });
    }
  }

  /** Notifies the holders of sessions in a room now and then, because an edge that restarted may not know that it holds them. */
  #notifyHolders(roomId: RoomId, holders: ReadonlySet<EdgeId>): void {
    if (this.#sweeps % SWEEPS_PER_LOOKUP !== 0) return;
    for (const edgeId of holders) this.#settings.channel.tellEdges({ type: 'room.lookup', roomId, edgeId });
  }

  /** Stops sweeping rooms in which this edge has had no session for a while. */
  #forget(): void {
    const { clock } = this.#settings;
    for (const [roomId, notedAtMs] of this.#noted) {
      if (clock.monotonicMs() - notedAtMs <= NOTED_FOR_MS || this.#missingSinceMs.has(roomId)) continue;
      this.#noted.delete(roomId);
      this.#outdated.delete(roomId);
    }
  }

  async #checkAtMediaNode(roomId: RoomId, placement: Placement): Promise<void> {
    const { peerId, epoch, mediaNodeId } = placement;
    const link = this.#settings.links.get(mediaNodeId);
    if (link?.isUp !== true) return;
    // Uses `peer.ask`, not `peer.attach`: an edge that is missing in the registry may still serve the peer.
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

  /** Ends tracks of lost nodes and of replaced placements, because no other process would (SPEC SE14). */
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
      // A peer that is placed again keeps its old tracks until it has new ones, so a track ends at the second sweep that finds it outdated.
      if (before?.has(trackId) === true && outdated.has(trackId)) return true;
      return missingForMs(homeNodeId) > 2 * leaseMs && links.get(homeNodeId)?.isUp !== true;
    });
    const trackIds: TrackId[] = [];
    await sideBySide(lost, PEERS_AT_ONCE, async ({ trackId, peerId, epoch }) => {
      const previous = outdated.has(trackId)
        ? await placements.previousPlacementOf(roomId, peerId)
        : undefined;
      // The tracks of a moving peer's previous placement stay until the move is complete (SPEC EP7).
      if (previous?.epoch !== epoch) trackIds.push(trackId);
    });
    if (trackIds.length === 0) return;
    channel.publishEvents(roomId, await roomLog.endTracks(roomId, trackIds, 'node_lost'));
  }
}
