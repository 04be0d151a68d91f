import {
  REPUBLISH_INTERVAL_MS,
  ROOMS_REPUBLISHED_AT_ONCE,
  sideBySide,
  every,
  inBackground,
} from '@plenary/cluster';
import type { Epoch, PeerVerdict, Placement, RecoveryStore, RepublishedPeers } from '@plenary/cluster';
import type { EdgeId, PeerId, RoomId } from '@plenary/cluster/ids';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { EntryReconciler } from '../entries/entry-reconciler.ts';
import type { Departures } from './departures.ts';
import type { Session } from '../entry/session.ts';
import type { PeerDrops } from '../media/peer-drops.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { LocalRooms } from '../room/local-rooms.ts';

/** Called when a session ends at this edge: another edge resumed it (`moved`), or the peer was removed (`gone`). */
export type OutdatedListener = (session: Session, verdict: PeerVerdict) => void;

export interface RepublisherSettings {
  readonly edgeId: EdgeId;
  readonly recovery: Pick<RecoveryStore, 'republishPeers'>;
  readonly entryReconciler: Pick<EntryReconciler, 'reconcile'>;
  readonly isStoreAvailable: () => boolean;
  readonly localRooms: LocalRooms;
  readonly departures: Pick<Departures, 'hasDeparted' | 'depart'>;
  readonly drops: Pick<PeerDrops, 'drop'>;
  readonly channel: Pick<RoomChannel, 'publishLocally'>;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * Rewrites periodically the records that this edge owns: the peers whose sessions it holds (SPEC RC1). So records that the store
 * lost, by a failover, a `FLUSHALL` or a write that was never executed, are back within a moment, and no process has to notice
 * the loss. Also sends clients the id of their room's last event, so that they notice an event that pub/sub lost although no
 * other one follows (LG7); not in a room that is still being rebuilt. Does nothing while the store is down.
 */
export class Republisher {
  readonly #settings: RepublisherSettings;
  /** The publication under way of each room. */
  readonly #underWay = new Map<RoomId, Promise<void>>();
  readonly #listeners: OutdatedListener[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isPublishing = false;

  constructor(settings: RepublisherSettings) {
    this.#settings = settings;
  }

  /** Calls the listener for each session that, according to the store, this edge does not hold any more. */
  onOutdated(listener: OutdatedListener): void {
    this.#listeners.push(listener);
  }

  start(): void {
    this.#timer = every(REPUBLISH_INTERVAL_MS, () => this.all());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Publishes all rooms now. Never throws. */
  async all(): Promise<void> {
    const { isStoreAvailable, localRooms, reportFault } = this.#settings;
    if (this.#isPublishing || !isStoreAvailable()) return;
    this.#isPublishing = true;
    try {
      await sideBySide(localRooms.roomIds(), ROOMS_REPUBLISHED_AT_ONCE, (roomId) =>
        // If a part of a Redis Cluster is down, only its rooms fail.
        this.room(roomId).catch((fault: unknown) => reportFault('republish', fault)),
      );
    } finally {
      this.#isPublishing = false;
    }
  }

  /**
   * Publishes one room now, because a record of it is missing.
   * @throws PlenaryError `store_unavailable`
   */
  async room(roomId: RoomId): Promise<void> {
    const underWay = this.#underWay.get(roomId);
    if (underWay !== undefined) return underWay;
    const publishing = this.#publish(roomId).finally(() => this.#underWay.delete(roomId));
    this.#underWay.set(roomId, publishing);
    return publishing;
  }

  async #publish(roomId: RoomId): Promise<void> {
    const { edgeId, recovery, entryReconciler, localRooms, channel, metrics } = this.#settings;
    const held = localRooms.sessionsIn(roomId).map((session) => session.held);
    if (held.length === 0) return;
    const result = await recovery.republishPeers(roomId, edgeId, held, localRooms.newestEventId(roomId));
    if (result.lostPeers > 0) metrics.repairs.inc({ what: 'peers' }, result.lostPeers);
    if (result.hasLostEvents) metrics.repairs.inc({ what: 'events' });
    localRooms.noteEvent(roomId, result.lastEventId);
    localRooms.notePeople(roomId, result.peerCount);
    this.#applyVerdicts(result, new Map(held.map(({ peerId, holdEpoch }) => [peerId, holdEpoch])));
    this.#removeAgain(roomId, result.unlisted);
    await entryReconciler.reconcile(roomId, result);
    if (!result.isRebuilding) channel.publishLocally(roomId, 'head', { lastEventId: result.lastEventId });
  }

  /** Ends the sessions that this edge does not hold any more: the store knows this better than the edge. */
  #applyVerdicts({ verdicts }: RepublishedPeers, published: ReadonlyMap<PeerId, Epoch>): void {
    const { localRooms, drops } = this.#settings;
    for (const { peerId, verdict } of verdicts) {
      const session = localRooms.find(peerId);
      // The session may have been resumed or moved while the publication was under way.
      if (session === undefined || session.media.holdEpoch !== published.get(peerId)) continue;
      if (verdict === 'gone') {
        for (const { mediaNodeId } of session.allMedia)
          inBackground(() => drops.drop(mediaNodeId, session.placed));
      }
      for (const listener of this.#listeners) listener(session, verdict);
    }
  }

  /**
   * Removes peers again whose removal the store lost (SPEC RC20). The sweep handles this edge's other placements without a
   * session.
   */
  #removeAgain(roomId: RoomId, unlisted: readonly Placement[]): void {
    const { localRooms, departures, metrics } = this.#settings;
    for (const { peerId, epoch, holdEpoch, mediaNodeId } of unlisted) {
      const placed = { roomId, peerId, epoch };
      if (localRooms.find(peerId) !== undefined || !departures.hasDeparted(placed)) continue;
      metrics.repairs.inc({ what: 'gone' });
      inBackground(() =>
        departures.depart({
          placed,
          mediaNodeIds: [mediaNodeId],
          reason: 'left',
          knownHoldEpoch: holdEpoch,
          tenantId: undefined,
        }),
      );
    }
  }
}
