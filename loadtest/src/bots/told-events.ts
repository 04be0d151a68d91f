import { compareEventIds } from '@plenary/cluster/ids';
import type { EventId } from '@plenary/cluster/ids';

/** How many ids are remembered: far more events than arrive within the time in which one may be late or repeated. */
const MAX_REMEMBERED = 1_000;

/**
 * The events that a bot has received. Events of the same moment may arrive out of order, and two edges may send the same
 * one. A client requests missing events (docs/protocol.md, "Order and gaps"); a bot accepts each event as it comes.
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

  /** Another source, such as a snapshot, covers all events up to this one. */
  startAfter(eventId: EventId): void {
    this.#knownUpTo = later(this.#knownUpTo, eventId);
    this.#newest = later(this.#newest, eventId);
  }

  /** Records an event. @returns whether it is new */
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
