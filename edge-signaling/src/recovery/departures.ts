import { forgetOldest, toPlenaryError, inBackground } from '@plenary/cluster';
import type { Epoch, PlacedPeer, PlacementStore, RoomLog } from '@plenary/cluster';
import type { MediaNodeId, TenantId } from '@plenary/cluster/ids';
import type { LeaveReason } from '@plenary/cluster/protocol';
import type { PeerDrops } from '../media/peer-drops.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import { RetryQueue } from './retry-queue.ts';
import type { TenantClaims } from '../entry/tenant-claims.ts';

/** Peers remembered as gone, should the store forget that they are. */
const MAX_DEPARTED = 10_000;
/** Removals that wait at most; one that is given up is found by the sweep. */
const MAX_PENDING_REMOVALS = 10_000;

export interface Departure {
  readonly placed: PlacedPeer;
  /** Where the peer has media; nobody but a peer that moves has it twice. */
  readonly mediaNodeIds: readonly MediaNodeId[];
  readonly reason: LeaveReason;
  /** Only when nobody took the session up after this hold of it; absent: whoever holds it (SPEC SE28). */
  readonly knownHoldEpoch: Epoch | undefined;
  /** Whose claim is freed once the peer is removed. */
  readonly tenantId: TenantId | undefined;
}

export interface DeparturesSettings {
  readonly placements: Pick<PlacementStore, 'placementOf'>;
  readonly roomLog: Pick<RoomLog, 'removePeer'>;
  readonly drops: Pick<PeerDrops, 'drop'>;
  readonly channel: RoomChannel;
  /** Whether a session of exactly this placement is served here. */
  readonly isTakenUp: (placed: PlacedPeer) => boolean;
  readonly tenantClaims: TenantClaims;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * Takes peers out: their media at the node, their records in the store. What cannot be done while the store or the node
 * is away is done when it returns, so that no ghost stays behind (SPEC SE6, SE32).
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
      onGivenUp: ({ placed }) =>
        reportFault('departure', new Error('Too many removals wait.'), { ...placed }),
    });
  }

  /** Removes a peer; when the store is away, as soon as it is back. Never throws. */
  async depart(departure: Departure): Promise<void> {
    const isDone = await this.#attempt(departure);
    if (!isDone) this.#removals.add(keyOf(departure.placed), departure);
    this.#noteSize();
  }

  /** @returns whether nothing is left to be tried again */
  async #attempt(departure: Departure): Promise<boolean> {
    const { placed } = departure;
    const onlyIfHeld = departure.knownHoldEpoch !== undefined;
    // While this waited its client may have come back, to this very edge.
    if (onlyIfHeld && this.#settings.isTakenUp(placed)) return true;
    if (!onlyIfHeld) this.#noteDeparted(placed);
    // Without the condition nobody else can want this media, so it need not wait for the store.
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

  /** Whether this edge removed the peer, or is about to, so that a record of it is one that the store should have lost. */
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

  /** A peer that came back is not to be removed by what was decided before of the same placement. */
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

  /** @returns what became of the placement: `gone`, `replaced` by a newer one, or `held` by who took it up since */
  async #remove({ placed, reason, knownHoldEpoch }: Departure): Promise<'gone' | 'replaced' | 'held'> {
    const { placements, roomLog, channel } = this.#settings;
    const { roomId, peerId, epoch } = placed;
    const events = await roomLog.removePeer(roomId, peerId, epoch, reason, knownHoldEpoch);
    channel.publishEvents(roomId, events);
    if (events.length > 0 || knownHoldEpoch === undefined) return 'gone';
    // A peer that was placed and never entered the roster goes without an event.
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
