import type { Placement, RoomStore } from '@plenary/cluster';
import type { EdgeId, MediaNodeId, RoomId } from '@plenary/cluster/ids';
import type { MediaLinks } from '../media/control-links.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { LocalRooms } from './local-rooms.ts';

const SWEEP_INTERVAL_MS = 5_000;

export interface SweeperSettings {
  readonly rooms: RoomStore;
  readonly isStoreAvailable: () => boolean;
  readonly localRooms: LocalRooms;
  readonly links: MediaLinks;
  /** For how long an edge or a node has surely been missing; see {@link Directory.missingForMs}. */
  readonly missingForMs: (id: EdgeId | MediaNodeId) => number;
  readonly leaseMs: number;
  readonly resumeWithinMs: number;
  readonly channel: RoomChannel;
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
  #timer: NodeJS.Timeout | undefined;
  #isSweeping = false;

  constructor(settings: SweeperSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#sweep(), SWEEP_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #sweep(): Promise<void> {
    const { localRooms, isStoreAvailable, reportFault } = this.#settings;
    if (this.#isSweeping || !isStoreAvailable()) return;
    this.#isSweeping = true;
    try {
      for (const roomId of localRooms.roomIds()) await this.#sweepRoom(roomId);
    } catch (fault) {
      reportFault('sweep', fault);
    } finally {
      this.#isSweeping = false;
    }
  }

  async #sweepRoom(roomId: RoomId): Promise<void> {
    const { rooms, localRooms, missingForMs, leaseMs, resumeWithinMs, links } = this.#settings;
    for (const placement of await rooms.placements(roomId)) {
      if (localRooms.find(placement.peerId) !== undefined) continue;
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
    await this.#endLostTracks(roomId);
  }

  async #ask(roomId: RoomId, placement: Placement): Promise<void> {
    const { peerId, epoch, mediaNodeId } = placement;
    const link = this.#settings.links.get(mediaNodeId);
    if (link?.isUp !== true) return;
    const { alive } = await link.call('peer.attach', { roomId, peerId, epoch });
    if (!alive) await this.#remove(roomId, placement, 'connection_lost');
  }

  async #remove(
    roomId: RoomId,
    placement: Placement,
    reason: 'node_lost' | 'connection_lost',
  ): Promise<void> {
    const { rooms, channel, metrics } = this.#settings;
    const { peerId, epoch, edgeId } = placement;
    const events = await rooms.removePeer(roomId, peerId, epoch, reason, edgeId);
    if (events.length > 0) metrics.swept.inc({ reason });
    channel.publishEvents(roomId, events);
  }

  async #endLostTracks(roomId: RoomId): Promise<void> {
    const { rooms, channel, missingForMs, leaseMs, links } = this.#settings;
    const { tracks } = await rooms.view(roomId);
    const lost = tracks.filter(
      ({ homeNodeId }) => missingForMs(homeNodeId) > 2 * leaseMs && links.get(homeNodeId)?.isUp !== true,
    );
    if (lost.length === 0) return;
    const trackIds = lost.map((track) => track.trackId);
    channel.publishEvents(roomId, await rooms.endTracks(roomId, trackIds, 'node_lost'));
  }
}
