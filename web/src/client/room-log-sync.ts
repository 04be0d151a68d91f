import { toPlenaryError } from '@plenary/cluster/errors';
import type { ClientReply, EventId, HeardEvent, RoomSnapshot } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog, Counters } from './counters.ts';
import {
  EMPTY_LOG,
  isBehind,
  receiveCatchUp,
  receiveEvent,
  receiveHead,
  receiveSnapshot,
  withRoom,
  type OrderedRoom,
} from './ordered-room.ts';
import type { RoomState } from './room-state.ts';

/** How long a gap may close by itself, since two edges' messages may overtake each other, in milliseconds. */
export const GAP_PATIENCE_MS = 150;
/**
 * A gap that `head` tells of is told to everybody of the room at once, after a store lost what it had: they ask for the room spread
 * over a time that grows with their number, in milliseconds for each person.
 */
const SPREAD_MS_PER_PERSON = 4;
const MAX_SPREAD_MS = 3_000;

/** Over how long clients spread what a `head` makes all of them ask for, in milliseconds. */
export function spreadMs(peerCount: number): number {
  return Math.min(MAX_SPREAD_MS, peerCount * SPREAD_MS_PER_PERSON);
}

/** Events that are kept for a snapshot which is on its way. */
const MAX_EARLY = 256;

export interface RoomLogSyncEnvironment {
  readonly sync: (afterEventId: EventId) => Promise<ClientReply<'sync'>>;
  /** Called for each event of the live stream and of what was missed, in no certain order, and perhaps twice. */
  readonly heard?: (event: HeardEvent['event']) => void;
  /** Called when the room was given as a whole: what was told of it meanwhile may have been missed. */
  readonly replaced?: (room: RoomState) => void;
  /** Called after each change of the room. */
  readonly changed: (room: RoomState) => void;
  /** `false` while no edge answers: a resume brings what is missing then. */
  readonly canSync: () => boolean;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** Holds the room and closes the gaps of its event log. */
export class RoomLogSync {
  readonly #environment: RoomLogSyncEnvironment;
  #log: OrderedRoom = EMPTY_LOG;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #syncing = false;
  #attempt = 0;
  /** What is missing was told to the whole room at once. */
  #isToldToAll = false;
  /**
   * What came before the snapshot of a session that begins; `undefined` outside of that. In a room that everybody had left, its events would
   * follow what is known, which is nothing.
   */
  #early: HeardEvent[] | undefined;

  constructor(environment: RoomLogSyncEnvironment) {
    this.#environment = environment;
  }

  get room(): RoomState {
    return this.#log.room;
  }

  takeEvent(event: HeardEvent): void {
    if (this.#early !== undefined) {
      // One that has no room here is missed, and asked for as such.
      if (this.#early.length < MAX_EARLY) this.#early.push(event);
      return;
    }
    const { log, duplicate } = receiveEvent(this.#log, event);
    if (duplicate) {
      this.#environment.counters.duplicateEvents += 1;
      return;
    }
    this.#environment.heard?.(event.event);
    this.#replace(log);
  }

  takeHead(headId: EventId): void {
    if (this.#early !== undefined) return;
    this.#isToldToAll ||= !isBehind(this.#log);
    this.#replace(receiveHead(this.#log, headId));
  }

  takeSnapshot(snapshot: RoomSnapshot): void {
    this.#replace(receiveSnapshot(this.#log, snapshot));
    const early = this.#early ?? [];
    this.#early = undefined;
    this.#environment.replaced?.(this.#log.room);
    for (const event of early) this.takeEvent(event);
  }

  takeCatchUp(events: readonly HeardEvent[]): void {
    for (const { event } of events) this.#environment.heard?.(event);
    this.#replace(receiveCatchUp(this.#log, events));
  }

  /** Forgets everything, before another session of the room begins. What was shown stays shown until its snapshot. */
  clear(): void {
    this.stop();
    this.#log = EMPTY_LOG;
    this.#early = [];
  }

  change(change: (room: RoomState) => RoomState): void {
    this.#replace(withRoom(this.#log, change));
  }

  /** Ends the timer; the room stays readable. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#attempt = 0;
    this.#isToldToAll = false;
  }

  #replace(log: OrderedRoom): void {
    const changed = log.room !== this.#log.room;
    this.#log = log;
    if (changed) this.#environment.changed(log.room);
    this.#schedule();
  }

  #schedule(): void {
    if (!isBehind(this.#log)) {
      this.stop();
      return;
    }
    if (this.#timer !== undefined || this.#syncing) return;
    const delayMs = GAP_PATIENCE_MS + this.#jitterMs();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#sync();
    }, delayMs);
  }

  #jitterMs(): number {
    if (this.#attempt > 0) return fullJitterMs(this.#attempt, RETRY_BACKOFF, Math.random());
    return this.#isToldToAll ? Math.random() * spreadMs(this.#log.room.peerCount) : 0;
  }

  /** Handles its own errors: a failed sync is tried again as long as the gap is there. */
  async #sync(): Promise<void> {
    if (!isBehind(this.#log) || !this.#environment.canSync()) return;
    this.#syncing = true;
    this.#attempt += 1;
    this.#environment.counters.syncs += 1;
    try {
      const reply = await this.#environment.sync(this.#log.room.lastEventId);
      this.#syncing = false;
      if (reply.type === 'snapshot') this.takeSnapshot(reply.room);
      else this.takeCatchUp(reply.events);
    } catch (thrown) {
      this.#syncing = false;
      this.#environment.log.warn('sync failed', toPlenaryError(thrown).message);
      this.#schedule();
    }
  }
}
