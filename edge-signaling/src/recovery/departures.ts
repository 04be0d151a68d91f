import { forgetOldest, toPlenaryError, inBackground } from '@plenary/cluster';
import type { Epoch, PlacedPeer, PlacementStore, RoomLog } from '@plenary/cluster';
import type { MediaNodeId, TenantId } from '@plenary/cluster/ids';
import type { LeaveReason } from '@plenary/cluster/protocol';
import type { PeerDrops } from '../media/peer-drops.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import { RetryQueue } from './retry-queue.ts';
import type { TenantClaims } from '../entry/tenant-claims.ts';

/** How many removed peers are remembered at most, in case the store loses their removal. */
const MAX_DEPARTED = 10_000;
/** How many removals wait at most; the sweep finds the peers of discarded ones. */
const MAX_PENDING_REMOVALS = 10_000;

export interface Departure {
  readonly placed: PlacedPeer;
  /** The nodes that the peer has media sessions on; only a peer that moves has two. */
  readonly mediaNodeIds: readonly MediaNodeId[];
  readonly reason: LeaveReason;
  /** Removes the peer only if no edge resumed its session after this hold; absent: whichever edge holds it (SPEC SE28). */
  readonly knownHoldEpoch: Epoch | undefined;
  /** The tenant whose claim is released once the peer is removed. */
  readonly tenantId: TenantId | undefined;
}

export interface DeparturesSettings {
  readonly placements: Pick<PlacementStore, 'placementOf'>;
  readonly roomLog: Pick<RoomLog, 'removePeer'>;
  readonly drops: Pick<PeerDrops, 'drop'>;
  readonly channel: RoomChannel;
  /** Whether this edge serves a session of exactly this placement. */
  readonly isServedHere: (placed: PlacedPeer) => boolean;
  readonly tenantClaims: TenantClaims;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * Removes peers: their transports at the node, and their records in the store. If the store or the node is down, the removal
 * completes when it returns, so that no ghost stays in the room (SPEC SE6, SE32).
 */
export class Departures {
  readonly #settings: DeparturesSettings;
  readonly #removals: RetryQueue<Departure>;
  /** The epochs under which peers were removed, the oldest first. */
  readonly #departed = new Map<string, Epoch>();

  constructor(settings: DeparturesSettings) {
    this.#settings = settings;
    const { reportFault } = settings;
    this.#removals = new RetryQueue({
      maxWaiting: MAX_PENDING_REMOVALS,
      retry: (departure) => this.#attempt(departure),
      onDiscarded: ({ placed }) =>
        reportFault('departure', new Error('Too many removals wait.'), { ...placed }),
    });
  }

  /** Removes a peer; if the store is down, as soon as it is back. Never throws. */
  async depart(departure: Departure): Promise<void> {
    const isDone = await this.#attempt(departure);
    if (!isDone) this.#removals.add(keyOf(departure.placed), departure);
    this.#noteSize();
  }

  /** @returns `false` if the removal has to be tried again */
  async #attempt(departure: Departure): Promise<boolean> {
    const { placed } = departure;
    const onlyIfHeld = departure.knownHoldEpoch !== undefined;
    // The client may have come back to this edge while the removal waited.
    if (onlyIfHeld && this.#settings.isServedHere(placed)) return true;
    if (!onlyIfHeld) this.#noteDeparted(placed);
    // Without the condition no other edge can serve these transports, so freeing them need not wait for the store.
    if (!onlyIfHeld) inBackground(() => this.#dropAll(departure));
    try {
      const outcome = await this.#remove(departure);
      if (outcome === 'gone') {
        this.#noteDeparted(placed);
        inBackground(() => this.#settings.tenantClaims.release(departure.tenantId, placed));
      }
      if (onlyIfHeld && outcome !== 'held') await this.#dropAll(departure);
      return true;
    } catch (fault) {
      const { code, retryable } = toPlenaryError(fault);
      this.#settings.reportFault('departure', fault, { code });
      return !retryable;
    }
  }

  /** Whether this edge removed the peer, or is about to: the store should have no record of it any more. */
  hasDeparted(placed: PlacedPeer): boolean {
    return (this.#departed.get(peerKeyOf(placed)) ?? -1) >= placed.epoch;
  }

  stop(): void {
    this.#removals.stop();
  }

  /** To be called when the store is back. Never rejects. */
  async retryRemovals(): Promise<void> {
    await this.#removals.retryNow();
    this.#noteSize();
  }

  /** Cancels the waiting removal of a placement, because its peer came back. */
  cancel(placed: PlacedPeer): void {
    this.#removals.delete(keyOf(placed));
    this.#departed.delete(peerKeyOf(placed));
    this.#noteSize();
  }

  #noteDeparted(placed: PlacedPeer): void {
    const key = peerKeyOf(placed);
    this.#departed.delete(key);
    this.#departed.set(key, placed.epoch);
    forgetOldest(this.#departed, MAX_DEPARTED);
  }

  #noteSize(): void {
    this.#settings.metrics.departures.set(this.#removals.size);
  }

  async #dropAll({ mediaNodeIds, placed }: Departure): Promise<void> {
    const { drops } = this.#settings;
    await Promise.all(mediaNodeIds.map(async (mediaNodeId) => drops.drop(mediaNodeId, placed)));
  }

  /** @returns the state of the placement: `gone`, `replaced` by a newer one, or `held` by an edge that resumed the session */
  async #remove({ placed, reason, knownHoldEpoch }: Departure): Promise<'gone' | 'replaced' | 'held'> {
    const { placements, roomLog, channel } = this.#settings;
    const { roomId, peerId, epoch } = placed;
    const events = await roomLog.removePeer(roomId, peerId, epoch, reason, knownHoldEpoch);
    channel.publishEvents(roomId, events);
    if (events.length > 0 || knownHoldEpoch === undefined) return 'gone';
    // Removing a peer that was placed but never entered the roster causes no event.
    const live = await placements.placementOf(roomId, peerId);
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
