import type { EventId, RoomId } from '../protocol/ids.ts';
import type { CatchUp, RoomLog } from './room-log.ts';

/**
 * What happened after an event: the events if the log still has them all, else a snapshot (SPEC LG3). While the room is being
 * rebuilt there is no snapshot: then it is as if nothing had happened (RC2).
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
