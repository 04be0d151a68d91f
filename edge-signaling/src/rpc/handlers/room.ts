import { PlenaryError } from '@plenary/cluster';
import { costOfCatchUp, costOfNoEvent } from '../../limits/cost.ts';
import type { Handler, HandlerServices } from './services.ts';

export function handleChatPost({ roomLog, channel, republisher }: HandlerServices): Handler<'chat.post'> {
  return async ({ requestId, text }, connection) => {
    const { roomId, peerId } = connection.session;
    const post = { roomId, peerId, requestId, text };
    const { message, events } = await roomLog.postChat(post).catch(async (fault: unknown) => {
      if (!(fault instanceof PlenaryError) || fault.code !== 'peer_not_found') throw fault;
      // Who speaks is here: the store has forgotten it.
      await republisher.room(roomId);
      return roomLog.postChat(post);
    });
    if (events.length === 0) connection.settle(costOfNoEvent(connection.people));
    channel.publishEvents(roomId, events);
    return { message };
  };
}

export function handleRosterPage({ reader }: HandlerServices): Handler<'roster.page'> {
  return async ({ cursor }, { session }) => {
    const { peers, nextCursor } = await reader.rosterPage(session.roomId, cursor);
    return { peers: [...peers], ...(nextCursor === undefined ? {} : { nextCursor }) };
  };
}

export function handleSync({ reader }: HandlerServices): Handler<'sync'> {
  return async ({ afterEventId }, connection) => {
    const { roomId } = connection.session;
    return connection.oneSync(async () => {
      const caughtUp = await reader.catchUp(roomId, afterEventId);
      connection.settle(costOfCatchUp(caughtUp));
      return caughtUp.type === 'events' ? { type: 'events', events: [...caughtUp.events] } : caughtUp;
    });
  };
}
