import type { EventId, RoomId } from '../protocol/ids.ts';
import type { CatchUp, RoomLog } from './room-log.ts';

/**
 * The events after the given one if the log still has all of them, else a snapshot (SPEC LG3, LG8). A room that is
 * being rebuilt gives no snapshot; the caller then gets no events, as if nothing had happened (RC12).
 */
export async function catchUp(
  roomLog: Pick<RoomLog, 'eventsAfter' | 'snapshot'>,
  roomId: RoomId,
  afterEventId: EventId,
): Promise<CatchUp> {
  const events = await roomLog.eventsAfter(roomId, afterEventId);
  if (events !== undefined) return { type: 'events', events };
  const room = await roomLog.snapshot(roomId);
  return room === undefined ? { type: 'events', events: [] } : { type: 'snapshot', room };
}
