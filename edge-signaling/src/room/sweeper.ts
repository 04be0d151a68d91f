import type { Clock, Placement, RoomStore } from '@plenary/cluster';
import type { EdgeId, MediaNodeId, RoomId, TrackId } from '@plenary/cluster/ids';
import type { MediaLinks } from '../media/control-links.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { Departures } from '../session/departures.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { LocalRooms } from './local-rooms.ts';

const SWEEP_INTERVAL_MS = 5_000;
/** A room is still swept for so long after its last session here was gone, in milliseconds. */
const NOTED_FOR_MS = 60_000;
/** A session that is being entered is not missing yet. */
const ENTRY_DEADLINE_MS = 10_000;
/** Every how many sweeps the other holders of a room's sessions are told of it. */
const SWEEPS_PER_SEEKING = 2;

export interface SweeperSettings {
  readonly edgeId: EdgeId;
  readonly rooms: RoomStore;
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
 * Judges one placement (SPEC SE7). Nothing is judged before owners had a lease's time to announce themselves, since
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

/** Removes what dead processes left in the rooms that this edge serves. Several edges may sweep one room. */
export class Sweeper {
  readonly #settings: SweeperSettings;
  /** Rooms beside those that are served now, with when they were noted. */
  readonly #noted = new Map<RoomId, number>();
  /** Since when this edge has been missing the session of a placement of its own. */
  readonly #missedSinceMs = new Map<string, number>();
  /** Tracks of replaced placements that the last sweep saw. */
  #outdated: ReadonlySet<TrackId> = new Set();
  #timer: NodeJS.Timeout | undefined;
  #isSweeping = false;
  #sweeps = 0;

  constructor(settings: SweeperSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#timer = setInterval(() => void this.sweep(), SWEEP_INTERVAL_MS);
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
    const { localRooms, isStoreAvailable, reportFault, clock } = this.#settings;
    if (this.#isSweeping || !isStoreAvailable()) return;
    this.#isSweeping = true;
    this.#sweeps += 1;
    const outdated = new Set<TrackId>();
    const missed = new Set<string>();
    try {
      for (const roomId of localRooms.roomIds()) this.#noted.set(roomId, clock.monotonicMs());
      for (const roomId of this.#noted.keys()) await this.#sweepRoom(roomId, outdated, missed);
      this.#forget(missed);
      this.#outdated = outdated;
    } catch (fault) {
      reportFault('sweep', fault);
    } finally {
      this.#isSweeping = false;
    }
  }

  async #sweepRoom(roomId: RoomId, outdated: Set<TrackId>, missed: Set<string>): Promise<void> {
    const { rooms, localRooms, missingForMs, leaseMs, resumeWithinMs, links, edgeId } = this.#settings;
    const placements = await rooms.placements(roomId);
    const holders = new Set<EdgeId>();
    for (const placement of placements) {
      if (placement.edgeId !== edgeId) holders.add(placement.edgeId);
      if (localRooms.find(placement.peerId) !== undefined) continue;
      if (placement.edgeId === edgeId) {
        missed.add(await this.#miss(roomId, placement));
        continue;
      }
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
    this.#seek(roomId, holders);
    await this.#endLostTracks(roomId, placements, outdated);
  }

  /**
   * The store says that this edge holds a session, and it does not: an unanswered command placed it, a failover brought it
   * back, or a former life of this edge held it. Unless another edge says that it has it, it is removed (SPEC SE13).
   */
  async #miss(roomId: RoomId, placement: Placement): Promise<string> {
    const { clock, channel, edgeId, departures, leaseMs, resumeWithinMs } = this.#settings;
    const { peerId, epoch, holdEpoch, mediaNodeId } = placement;
    const key = `${roomId} ${peerId} ${epoch}`;
    const nowMs = clock.monotonicMs();
    const sinceMs = this.#missedSinceMs.get(key) ?? nowMs;
    this.#missedSinceMs.set(key, sinceMs);
    if (nowMs - sinceMs <= leaseMs + resumeWithinMs + ENTRY_DEADLINE_MS) {
      channel.tellEdges({ type: 'session.sought', peerId, edgeId });
    } else {
      const placed = { roomId, peerId, epoch };
      await departures.depart({
        placed,
        mediaNodeIds: [mediaNodeId],
        reason: 'connection_lost',
        heldUnder: holdEpoch,
        tenantId: undefined,
      });
    }
    return key;
  }

  /** The holders of sessions in a room may not know of it, after a start anew: now and then they are told. */
  #seek(roomId: RoomId, holders: ReadonlySet<EdgeId>): void {
    if (this.#sweeps % SWEEPS_PER_SEEKING !== 0) return;
    for (const edgeId of holders) this.#settings.channel.tellEdges({ type: 'room.sought', roomId, edgeId });
  }

  #forget(missed: ReadonlySet<string>): void {
    const { clock } = this.#settings;
    for (const key of this.#missedSinceMs.keys()) if (!missed.has(key)) this.#missedSinceMs.delete(key);
    const stillMissed = new Set([...missed].map((key) => key.split(' ')[0]));
    for (const [roomId, notedAtMs] of this.#noted) {
      if (clock.monotonicMs() - notedAtMs > NOTED_FOR_MS && !stillMissed.has(roomId))
        this.#noted.delete(roomId);
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
    const { rooms, channel, metrics } = this.#settings;
    const { peerId, epoch, holdEpoch } = placement;
    const events = await rooms.removePeer(roomId, peerId, epoch, reason, holdEpoch);
    if (events.length > 0) metrics.swept.inc({ reason });
    channel.publishEvents(roomId, events);
  }

  /** Ends tracks whose node is gone, and those of placements that were replaced: nobody else would (SPEC SE14). */
  async #endLostTracks(
    roomId: RoomId,
    placements: readonly Placement[],
    outdated: Set<TrackId>,
  ): Promise<void> {
    const { rooms, channel, missingForMs, leaseMs, links } = this.#settings;
    const { tracks } = await rooms.view(roomId);
    const epochs = new Map(placements.map(({ peerId, epoch }) => [peerId, epoch]));
    const lost = tracks.filter(({ trackId, peerId, epoch, homeNodeId }) => {
      // A peer that is placed anew keeps its old tracks until it has new ones: so it must have been seen before.
      if (epoch < (epochs.get(peerId) ?? Infinity)) outdated.add(trackId);
      if (this.#outdated.has(trackId) && outdated.has(trackId)) return true;
      return missingForMs(homeNodeId) > 2 * leaseMs && links.get(homeNodeId)?.isUp !== true;
    });
    const trackIds: TrackId[] = [];
    for (const { trackId, peerId, epoch } of lost) {
      const former = outdated.has(trackId) ? await rooms.formerPlacement(roomId, peerId) : undefined;
      // Its peer is moving, and goes on there until it has moved (SPEC EP7).
      if (former?.epoch !== epoch) trackIds.push(trackId);
    }
    if (trackIds.length === 0) return;
    channel.publishEvents(roomId, await rooms.endTracks(roomId, trackIds, 'node_lost'));
  }
}
