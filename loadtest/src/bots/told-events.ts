import { compareEventIds } from '@plenary/cluster/ids';
import type { EventId } from '@plenary/cluster/ids';

/** How many ids are remembered: far more events than arrive within the time in which one may be late or repeated. */
const MAX_REMEMBERED = 1_000;

/**
 * The events that a bot was told of. Events that are made at one time may arrive in another order than theirs, and two edges
 * may tell of the same one. A client asks for what is missing (docs/protocol.md, "Order and gaps"); a bot takes each as it comes.
 */
export class ToldEvents {
  readonly #told = new Set<EventId>();
  /** All events up to this one are known. */
  #knownUpTo: EventId | undefined;
  #newest: EventId | undefined;

  /** The newest event that is known. */
  get newest(): EventId | undefined {
    return this.#newest;
  }

  /** What happened up to this event is known from elsewhere. */
  startAfter(eventId: EventId): void {
    this.#knownUpTo = later(this.#knownUpTo, eventId);
    this.#newest = later(this.#newest, eventId);
  }

  /** Notes an event. @returns whether it is the first time */
  isNew(eventId: EventId): boolean {
    if (this.#knownUpTo !== undefined && compareEventIds(eventId, this.#knownUpTo) <= 0) return false;
    if (this.#told.has(eventId)) return false;
    this.#told.add(eventId);
    this.#newest = later(this.#newest, eventId);
    const [first] = this.#told;
    if (first !== undefined && this.#told.size > MAX_REMEMBERED) {
      this.#told.delete(first);
      this.#knownUpTo = later(this.#knownUpTo, first);
    }
    return true;
  }
}

const later = (left: EventId | undefined, right: EventId): EventId =>
  left === undefined || compareEventIds(right, left) > 0 ? right : left;
