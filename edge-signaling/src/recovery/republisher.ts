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

/** Told that a session is over here: another edge took it up (`moved`), or the peer was removed (`gone`). */
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
 * Publishes again and again what this edge owns of rooms: the peers whose sessions it holds (SPEC RC1). So what the store
 * lost, by a failover, a `FLUSHALL` or a write that was never carried out, is there again within a moment, without anybody
 * having to notice the loss. Tells clients how far their room's log is, so that an event lost by pub/sub is noticed although
 * no other one follows (LG7); but not of a room that is still being rebuilt. Silent while the store is away.
 */
export class Republisher {
  readonly #settings: RepublisherSettings;
  /** What each room is being published by. */
  readonly #underWay = new Map<RoomId, Promise<void>>();
  readonly #listeners: OutdatedListener[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isPublishing = false;

  constructor(settings: RepublisherSettings) {
    this.#settings = settings;
  }

  /** Tells from now on which sessions are over here, by what the store knows. */
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
        // A part of a Redis Cluster may be away: the other rooms are not held up by it.
        this.room(roomId).catch((fault: unknown) => reportFault('republish', fault)),
      );
    } finally {
      this.#isPublishing = false;
    }
  }

  /**
   * Publishes one room now, for who found something missing in it.
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
    this.#obey(result, new Map(held.map(({ peerId, holdEpoch }) => [peerId, holdEpoch])));
    this.#removeAgain(roomId, result.unlisted);
    await entryReconciler.reconcile(roomId, result);
    if (!result.isRebuilding) channel.publishLocally(roomId, 'head', { lastEventId: result.lastEventId });
  }

  /** The store knows better than this edge what became of a session. */
  #obey({ verdicts }: RepublishedPeers, told: ReadonlyMap<PeerId, Epoch>): void {
    const { localRooms, drops } = this.#settings;
    for (const { peerId, verdict } of verdicts) {
      const session = localRooms.find(peerId);
      // It may have been taken up or moved while this was under way.
      if (session === undefined || session.media.holdEpoch !== told.get(peerId)) continue;
      if (verdict === 'gone') {
        for (const { mediaNodeId } of session.allMedia)
          inBackground(() => drops.drop(mediaNodeId, session.placed));
      }
      for (const listener of this.#listeners) listener(session, verdict);
    }
  }

  /**
   * Removes again who left, though the store forgot it (SPEC RC20). The other placements of this edge whose sessions it does
   * not hold are the sweep's.
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
