import { compareEventIds, type EventId, type HeardEvent, type RoomSnapshot } from '@plenary/cluster/protocol';
import { EMPTY_ROOM, applyEvent, isNews, roomFromSnapshot, type RoomState } from './room-state.ts';

/** Events that may wait for a missing one; beyond it the log is asked for anyway, so they are worth nothing. */
const MAX_WAITING = 256;

/**
 * The room and the events that cannot be applied yet. Pure: every function gives a new value. Pub/sub between edges
 * may lose or reorder messages, so an event is applied only right behind its predecessor; whatever is missing is
 * fetched by `sync`, and nothing is skipped.
 */
export interface OrderedRoom {
  readonly room: RoomState;
  /** Events ahead of the room, the oldest first. */
  readonly waiting: readonly HeardEvent[];
  /** The newest id that is known to exist. */
  readonly headId: EventId;
}

export const EMPTY_LOG: OrderedRoom = { room: EMPTY_ROOM, waiting: [], headId: EMPTY_ROOM.lastEventId };

/** Whether something is known to be missing, so that `sync` is due. */
export function isBehind(log: OrderedRoom): boolean {
  return isNews(log.room, log.headId);
}

/** Takes an event of the live stream. `duplicate` tells that it was known already. */
export function receiveEvent(
  log: OrderedRoom,
  event: HeardEvent,
): { readonly log: OrderedRoom; readonly duplicate: boolean } {
  const known = !isNews(log.room, event.id) || log.waiting.some((other) => other.id === event.id);
  if (known) return { log, duplicate: true };
  const waiting = [...log.waiting, event].sort((left, right) => compareEventIds(left.id, right.id));
  return {
    log: applyWaiting({
      ...log,
      waiting: waiting.slice(0, MAX_WAITING),
      headId: later(log.headId, event.id),
    }),
    duplicate: false,
  };
}

/** Takes the head's id as the edge gives it now and then. */
export function receiveHead(log: OrderedRoom, headId: EventId): OrderedRoom {
  return { ...log, headId: later(log.headId, headId) };
}

/**
 * Takes the log's own answer. It is the order itself, so its events follow each other whatever `previousId` says;
 * ids that are known already are dropped.
 */
export function receiveCatchUp(log: OrderedRoom, events: readonly HeardEvent[]): OrderedRoom {
  let room = log.room;
  for (const event of events) if (isNews(room, event.id)) room = applyEvent(room, event);
  return applyWaiting({ ...log, room, headId: later(log.headId, room.lastEventId) });
}

/** Takes a snapshot: it replaces the room, also what waits, apart from events newer than it. */
export function receiveSnapshot(log: OrderedRoom, snapshot: RoomSnapshot): OrderedRoom {
  // The head is the snapshot's, even if an older one was higher: a store that lost writes begins a new order.
  return applyWaiting({
    room: roomFromSnapshot(snapshot, log.room),
    waiting: log.waiting,
    headId: snapshot.lastEventId,
  });
}

/** Changes the room without an event, as a roster page does. */
export function withRoom(log: OrderedRoom, change: (room: RoomState) => RoomState): OrderedRoom {
  return { ...log, room: change(log.room) };
}

function later(left: EventId, right: EventId): EventId {
  return compareEventIds(left, right) >= 0 ? left : right;
}

/** Applies waiting events as far as each follows the one before; drops those that are known by now. */
function applyWaiting(log: OrderedRoom): OrderedRoom {
  let room = log.room;
  const waiting: HeardEvent[] = [];
  for (const event of log.waiting) {
    if (!isNews(room, event.id)) continue;
    if (waiting.length === 0 && event.previousId === room.lastEventId) room = applyEvent(room, event);
    else waiting.push(event);
  }
  const newest = waiting.at(-1);
  const headId = newest === undefined ? log.headId : later(log.headId, newest.id);
  return { room, waiting, headId };
}
