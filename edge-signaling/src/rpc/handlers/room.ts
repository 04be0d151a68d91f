import { PlenaryError } from '@plenary/cluster';
import { costOfCatchUp, costOfNoEvent } from '../../limits/cost.ts';
import type { RoomLog } from '@plenary/cluster';
import type { Republisher } from '../../recovery/republisher.ts';
import type { RoomReader } from '../../room/room-reader.ts';
import type { RoomChannel } from '../../transport/client-socket.ts';
import type { Handler } from './services.ts';

export interface RoomServices {
  readonly roomLog: Pick<RoomLog, 'postChat'>;
  readonly reader: Pick<RoomReader, 'rosterPage' | 'catchUp'>;
  readonly republisher: Pick<Republisher, 'room'>;
  readonly channel: Pick<RoomChannel, 'publishEvents'>;
}

export function handleChatPost({
  roomLog,
  channel,
  republisher,
}: Pick<RoomServices, 'roomLog' | 'channel' | 'republisher'>): Handler<'chat.post'> {
  return async ({ requestId, text }, connection) => {
    const { roomId, peerId } = connection.session;
    const post = { roomId, peerId, requestId, text };
    const { message, events } = await roomLog.postChat(post).catch(async (fault: unknown) => {
      if (!(fault instanceof PlenaryError) || fault.code !== 'peer_not_found') throw fault;
      // Who speaks is here: the store has forgotten it.
      await republisher.room(roomId);
      return roomLog.postChat(post);
    });
    if (events.length === 0) connection.adjustCharge(costOfNoEvent(connection.people));
    channel.publishEvents(roomId, events);
    return { message };
  };
}

export function handleRosterPage({ reader }: Pick<RoomServices, 'reader'>): Handler<'roster.page'> {
  return async ({ cursor }, { session }) => {
    const { peers, nextCursor } = await reader.rosterPage(session.roomId, cursor);
    return { peers: [...peers], ...(nextCursor === undefined ? {} : { nextCursor }) };
  };
}

export function handleSync({ reader }: Pick<RoomServices, 'reader'>): Handler<'sync'> {
  return async ({ afterEventId }, connection) => {
    const { roomId } = connection.session;
    return connection.oneSync(async () => {
      const caughtUp = await reader.catchUp(roomId, afterEventId);
      connection.adjustCharge(costOfCatchUp(caughtUp));
      return caughtUp.type === 'events' ? { type: 'events', events: [...caughtUp.events] } : caughtUp;
    });
  };
}
