import { compareEventIds, type EventId, type HeardEvent, type RoomSnapshot } from '@plenary/cluster/protocol';
import { EMPTY_ROOM, applyEvent, isNewer, roomFromSnapshot, type RoomState } from './room-state.ts';

/** Events that may wait for a missing one. With more, a sync brings them anyway. */
const MAX_PENDING = 256;

/**
 * The client's copy of the room, and the events that cannot be applied yet. Pure: every function returns a new value. Pub/sub between
 * edges may lose or reorder messages, so an event is applied only directly after its predecessor. `sync` fetches missing events; none is
 * skipped.
 */
export interface RoomReplica {
  readonly room: RoomState;
  /** Events ahead of the room, the oldest first. */
  readonly pending: readonly HeardEvent[];
  /** The newest id that is known to exist. */
  readonly headId: EventId;
}

export const EMPTY_REPLICA: RoomReplica = { room: EMPTY_ROOM, pending: [], headId: EMPTY_ROOM.lastEventId };

/** Whether events are missing, so that a `sync` is due. */
export function hasGap(replica: RoomReplica): boolean {
  return isNewer(replica.room, replica.headId);
}

/** Adds an event of the live stream. `duplicate` is set when the event was known already. */
export function receiveEvent(
  replica: RoomReplica,
  event: HeardEvent,
): { readonly replica: RoomReplica; readonly duplicate: boolean } {
  const known = !isNewer(replica.room, event.id) || replica.pending.some((other) => other.id === event.id);
  if (known) return { replica, duplicate: true };
  const pending = [...replica.pending, event].sort((left, right) => compareEventIds(left.id, right.id));
  return {
    replica: applyPending({
      ...replica,
      pending: pending.slice(0, MAX_PENDING),
      headId: later(replica.headId, event.id),
    }),
    duplicate: false,
  };
}

/** Notes the id of the log's head, which the edge sends periodically. */
export function receiveHead(replica: RoomReplica, headId: EventId): RoomReplica {
  return { ...replica, headId: later(replica.headId, headId) };
}

/**
 * Applies events that were read from the log. Their order is authoritative, whatever `previousId` says. Known events are dropped.
 */
export function receiveCatchUp(replica: RoomReplica, events: readonly HeardEvent[]): RoomReplica {
  let room = replica.room;
  for (const event of events) if (isNewer(room, event.id)) room = applyEvent(room, event);
  return applyPending({ ...replica, room, headId: later(replica.headId, room.lastEventId) });
}

/** Applies a snapshot, which replaces the room. Pending events that are newer than the snapshot stay. */
export function receiveSnapshot(replica: RoomReplica, snapshot: RoomSnapshot): RoomReplica {
  // The snapshot's id becomes the head even when it is lower: a store that lost writes begins a new order.
  return applyPending({
    room: roomFromSnapshot(snapshot, replica.room),
    pending: replica.pending,
    headId: snapshot.lastEventId,
  });
}

/** Changes the room without an event, for example with a roster page. */
export function withRoom(replica: RoomReplica, change: (room: RoomState) => RoomState): RoomReplica {
  return { ...replica, room: change(replica.room) };
}

function later(left: EventId, right: EventId): EventId {
  return compareEventIds(left, right) >= 0 ? left : right;
}

/** Applies pending events as far as each follows its predecessor. Drops events that are known by now. */
function applyPending(replica: RoomReplica): RoomReplica {
  let room = replica.room;
  const pending: HeardEvent[] = [];
  for (const event of replica.pending) {
    if (!isNewer(room, event.id)) continue;
    if (pending.length === 0 && event.previousId === room.lastEventId) room = applyEvent(room, event);
    else pending.push(event);
  }
  const newest = pending.at(-1);
  const headId = newest === undefined ? replica.headId : later(replica.headId, newest.id);
  return { room, pending, headId };
}
