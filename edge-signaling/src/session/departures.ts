import { PlenaryError, forgetOldest, toPlenaryError } from '@plenary/cluster';
import type { Epoch, PlacedPeer, RoomStore } from '@plenary/cluster';
import type { MediaNodeId, TenantId } from '@plenary/cluster/ids';
import type { LeaveReason } from '@plenary/cluster/protocol';
import type { MediaLinks } from '../media/control-links.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { TenantClaims } from './tenant-claims.ts';

/** Peers remembered as gone, should the store forget that they are. */
const MAX_DEPARTED = 10_000;
/** A node that stays away for so many drops has lost the peers anyway. */
const MAX_PENDING_DROPS = 10_000;
/** How often what failed is tried again, beside the moment the store or the node returns, in milliseconds. */
const RETRY_MS = 5_000;

export interface Departure {
  readonly placed: PlacedPeer;
  /** Where the peer has media; nobody but a peer that moves has it twice. */
  readonly mediaNodeIds: readonly MediaNodeId[];
  readonly reason: LeaveReason;
  /** Only when nobody took the session up after this hold of it; absent: whoever holds it (SPEC SE4). */
  readonly heldUnder: Epoch | undefined;
  /** Whose claim is freed once the peer is removed. */
  readonly tenantId: TenantId | undefined;
}

export interface DeparturesSettings {
  readonly rooms: RoomStore;
  readonly links: MediaLinks;
  readonly channel: RoomChannel;
  /** Whether a session of exactly this placement is served here. */
  readonly isTakenUp: (placed: PlacedPeer) => boolean;
  readonly tenantClaims: TenantClaims;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * Takes peers out: their media at the node, their records in the store. What cannot be done while the store or the node
 * is away is done when it returns, so that no ghost stays behind (SPEC SE6).
 */
export class Departures {
  readonly #settings: DeparturesSettings;
  readonly #pending = new Map<string, Departure>();
  /** The epochs under which peers were removed, the oldest first. */
  readonly #departed = new Map<string, Epoch>();
  readonly #drops = new Map<MediaNodeId, Map<string, PlacedPeer>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: DeparturesSettings) {
    this.#settings = settings;
  }

  /** Removes a peer; when the store is away, as soon as it is back. Never throws. */
  async depart(departure: Departure): Promise<void> {
    const { placed } = departure;
    const onlyIfHeld = departure.heldUnder !== undefined;
    // While this waited its client may have come back, to this very edge.
    if (onlyIfHeld && this.#settings.isTakenUp(placed)) return;
    if (!onlyIfHeld) this.#noteDeparted(placed);
    // Without the condition nobody else can want this media, so it need not wait for the store.
    if (!onlyIfHeld) void this.#dropAll(departure);
    try {
      const outcome = await this.#remove(departure);
      if (outcome === 'gone') {
        this.#noteDeparted(placed);
        void this.#settings.tenantClaims.release(departure.tenantId, placed);
      }
      if (onlyIfHeld && outcome !== 'held') await this.#dropAll(departure);
    } catch (fault) {
      const { code, retryable } = toPlenaryError(fault);
      this.#settings.reportFault('departure', fault, { code });
      if (retryable) {
        this.#pending.set(keyOf(placed), departure);
        this.#retryLater();
      }
    }
    this.#settings.metrics.departures.set(this.#pending.size);
  }

  /** Frees a peer's media, up to the epoch; when the node is away, as soon as it is back. Never throws. */
  async dropMedia(mediaNodeId: MediaNodeId, placed: PlacedPeer): Promise<void> {
    const link = this.#settings.links.get(mediaNodeId);
    try {
      // A node that is not known yet, or not announced now, may be there all the same.
      if (link === undefined) throw new PlenaryError('media_unavailable');
      await link.call('peer.drop', placed);
    } catch (fault) {
      if (!toPlenaryError(fault).retryable) {
        this.#settings.reportFault('departure', fault, { doing: 'peer.drop' });
        return;
      }
      const drops = this.#drops.get(mediaNodeId) ?? new Map<string, PlacedPeer>();
      if (drops.size < MAX_PENDING_DROPS) drops.set(keyOf(placed), placed);
      this.#drops.set(mediaNodeId, drops);
      this.#retryLater();
    }
  }

  /** Whether this edge removed the peer, or is about to, so that a record of it is one that the store should have lost. */
  hasDeparted(placed: PlacedPeer): boolean {
    return (this.#departed.get(peerKeyOf(placed)) ?? -1) >= placed.epoch;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** To be called when the store is back. */
  async retryRemovals(): Promise<void> {
    const due = [...this.#pending.values()];
    this.#pending.clear();
    await Promise.all(due.map(async (departure) => this.depart(departure)));
  }

  /** To be called when a link is up again. */
  async retryDrops(mediaNodeId: MediaNodeId): Promise<void> {
    const due = [...(this.#drops.get(mediaNodeId)?.values() ?? [])];
    this.#drops.delete(mediaNodeId);
    await Promise.all(due.map(async (placed) => this.dropMedia(mediaNodeId, placed)));
  }

  /** A peer that came back is not to be removed by what was decided before of the same placement. */
  cancel(placed: PlacedPeer): void {
    this.#pending.delete(keyOf(placed));
    this.#departed.delete(peerKeyOf(placed));
    this.#settings.metrics.departures.set(this.#pending.size);
  }

  #noteDeparted(placed: PlacedPeer): void {
    const key = peerKeyOf(placed);
    this.#departed.delete(key);
    this.#departed.set(key, placed.epoch);
    forgetOldest(this.#departed, MAX_DEPARTED);
  }

  /** An answer may have been lost while store and node were there all the time, so that no return of theirs is waited for. */
  #retryLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#pending.size > 0) void this.retryRemovals();
      for (const mediaNodeId of this.#drops.keys()) {
        if (this.#settings.links.get(mediaNodeId)?.isUp === true) void this.retryDrops(mediaNodeId);
      }
    }, RETRY_MS);
  }

  async #dropAll({ mediaNodeIds, placed }: Departure): Promise<void> {
    await Promise.all(mediaNodeIds.map(async (mediaNodeId) => this.dropMedia(mediaNodeId, placed)));
  }

  /** @returns what became of the placement: `gone`, `replaced` by a newer one, or `held` by who took it up since */
  async #remove({ placed, reason, heldUnder }: Departure): Promise<'gone' | 'replaced' | 'held'> {
    const { rooms, channel } = this.#settings;
    const { roomId, peerId, epoch } = placed;
    const events = await rooms.removePeer(roomId, peerId, epoch, reason, heldUnder);
    channel.publishEvents(roomId, events);
    if (events.length > 0 || heldUnder === undefined) return 'gone';
    // A peer that was placed and never entered the roster goes without an event.
    const live = await rooms.placementOf(roomId, peerId);
    if (live === undefined) return 'gone';
    return live.epoch > epoch ? 'replaced' : 'held';
  }
}

function peerKeyOf({ roomId, peerId }: PlacedPeer): string {
  return `${roomId} ${peerId}`;
}

function keyOf(placed: PlacedPeer): string {
  return `${placed.roomId} ${placed.peerId} ${placed.epoch}`;
}
