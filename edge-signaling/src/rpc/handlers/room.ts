import { PlenaryError } from '@plenary/cluster';
import type { Handler, HandlerServices } from './services.ts';

export function handleChatPost({ rooms, channel, republisher }: HandlerServices): Handler<'chat.post'> {
  return async ({ requestId, text }, { session }) => {
    const { roomId, peerId } = session;
    const post = { roomId, peerId, requestId, text };
    const { message, events } = await rooms.postChat(post).catch(async (fault: unknown) => {
      if (!(fault instanceof PlenaryError) || fault.code !== 'peer_not_found') throw fault;
      // Who speaks is here: the store has forgotten it.
      await republisher.room(roomId);
      return rooms.postChat(post);
    });
    channel.publishEvents(roomId, events);
    return { message };
  };
}

export function handleRosterPage({ rooms }: HandlerServices): Handler<'roster.page'> {
  return async ({ cursor }, { session }) => {
    const { peers, nextCursor } = await rooms.rosterPage(session.roomId, cursor);
    return { peers: [...peers], ...(nextCursor === undefined ? {} : { nextCursor }) };
  };
}

export function handleSync({ rooms }: HandlerServices): Handler<'sync'> {
  return async ({ afterEventId }, { session }) => {
    const caughtUp = await rooms.catchUp(session.roomId, afterEventId);
    return caughtUp.type === 'events' ? { type: 'events', events: [...caughtUp.events] } : caughtUp;
  };
}
