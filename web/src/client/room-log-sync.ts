import { toPlenaryError } from '@plenary/cluster/errors';
import type { ClientReply, EventId, HeardEvent, RoomSnapshot } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog, Counters } from './counters.ts';
import {
  EMPTY_REPLICA,
  hasGap,
  receiveCatchUp,
  receiveEvent,
  receiveHead,
  receiveSnapshot,
  withRoom,
  type RoomReplica,
} from './room-replica.ts';
import type { RoomState } from './room-state.ts';

/** How long a gap may stay open before a sync, in milliseconds: messages of two edges may overtake each other. */
export const GAP_TOLERANCE_MS = 150;
/**
 * After a store lost its data, a `head` notice reveals the gap to all clients of the room at once. They spread their sync requests over a
 * time that grows with the size of the room, in milliseconds per peer.
 */
const SPREAD_MS_PER_PERSON = 4;
const MAX_SPREAD_MS = 3_000;

/** Time over which the clients of a room spread their sync requests after a `head` notice, in milliseconds. */
export function spreadMs(peerCount: number): number {
  return Math.min(MAX_SPREAD_MS, peerCount * SPREAD_MS_PER_PERSON);
}

/** Most events that are kept until a requested snapshot arrives. */
const MAX_BEFORE_SNAPSHOT = 256;

export interface RoomLogSyncEnvironment {
  readonly sync: (afterEventId: EventId) => Promise<ClientReply<'sync'>>;
  /** Called for each live or missed event, in any order, and possibly twice. */
  readonly heard?: (event: HeardEvent['event']) => void;
  /** Called after a snapshot, because events before it may have been missed. */
  readonly replaced?: (room: RoomState) => void;
  /** Called after each change of the room. */
  readonly changed: (room: RoomState) => void;
  /** `false` while no edge is connected; then a resume brings the missing events. */
  readonly canSync: () => boolean;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** Keeps the client's copy of the room up to date with the room log, and requests missing events. */
export class RoomLogSync {
  readonly #environment: RoomLogSyncEnvironment;
  #replica: RoomReplica = EMPTY_REPLICA;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #syncing = false;
  #attempt = 0;
  /** A `head` notice revealed the gap to the whole room at once. */
  #isGapOfWholeRoom = false;
  /**
   * Events that arrived before the snapshot of a new session; `undefined` after the snapshot. In a room that was empty before, such events
   * would directly follow the empty replica, and be applied to it.
   */
  #beforeSnapshot: HeardEvent[] | undefined;

  constructor(environment: RoomLogSyncEnvironment) {
    this.#environment = environment;
  }

  get room(): RoomState {
    return this.#replica.room;
  }

  receiveEvent(event: HeardEvent): void {
    if (this.#beforeSnapshot !== undefined) {
      // An event beyond the limit becomes a gap, which a sync closes.
      if (this.#beforeSnapshot.length < MAX_BEFORE_SNAPSHOT) this.#beforeSnapshot.push(event);
      return;
    }
    const { replica, duplicate } = receiveEvent(this.#replica, event);
    if (duplicate) {
      this.#environment.counters.duplicateEvents += 1;
      return;
    }
    this.#environment.heard?.(event.event);
    this.#replace(replica);
  }

  receiveHead(headId: EventId): void {
    if (this.#beforeSnapshot !== undefined) return;
    this.#isGapOfWholeRoom ||= !hasGap(this.#replica);
    this.#replace(receiveHead(this.#replica, headId));
  }

  receiveSnapshot(snapshot: RoomSnapshot): void {
    this.#replace(receiveSnapshot(this.#replica, snapshot));
    const pending = this.#beforeSnapshot ?? [];
    this.#beforeSnapshot = undefined;
    this.#environment.replaced?.(this.#replica.room);
    for (const event of pending) this.receiveEvent(event);
  }

  receiveCatchUp(events: readonly HeardEvent[]): void {
    for (const { event } of events) this.#environment.heard?.(event);
    this.#replace(receiveCatchUp(this.#replica, events));
  }

  /** Forgets the room before a new session begins. Listeners keep the old room until the snapshot arrives. */
  clear(): void {
    this.stop();
    this.#replica = EMPTY_REPLICA;
    this.#beforeSnapshot = [];
  }

  change(change: (room: RoomState) => RoomState): void {
    this.#replace(withRoom(this.#replica, change));
  }

  /** Ends the timer; the room stays readable. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#attempt = 0;
    this.#isGapOfWholeRoom = false;
  }

  #replace(replica: RoomReplica): void {
    const changed = replica.room !== this.#replica.room;
    this.#replica = replica;
    if (changed) this.#environment.changed(replica.room);
    this.#schedule();
  }

  #schedule(): void {
    if (!hasGap(this.#replica)) {
      this.stop();
      return;
    }
    if (this.#timer !== undefined || this.#syncing) return;
    const delayMs = GAP_TOLERANCE_MS + this.#jitterMs();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#sync();
    }, delayMs);
  }

  #jitterMs(): number {
    if (this.#attempt > 0) return fullJitterMs(this.#attempt, RETRY_BACKOFF, Math.random());
    return this.#isGapOfWholeRoom ? Math.random() * spreadMs(this.#replica.room.peerCount) : 0;
  }

  /** Requests the missing events. Handles its own errors: a failed sync is retried while the gap exists. */
  async #sync(): Promise<void> {
    if (!hasGap(this.#replica) || !this.#environment.canSync()) return;
    this.#syncing = true;
    this.#attempt += 1;
    this.#environment.counters.syncs += 1;
    try {
      const reply = await this.#environment.sync(this.#replica.room.lastEventId);
      this.#syncing = false;
      if (reply.type === 'snapshot') this.receiveSnapshot(reply.room);
      else this.receiveCatchUp(reply.events);
    } catch (thrown) {
      this.#syncing = false;
      this.#environment.log.warn('sync failed', toPlenaryError(thrown).message);
      this.#schedule();
    }
  }
}
