import type { Handler, HandlerServices } from './services.ts';

export function handleChatPost({ rooms, channel }: HandlerServices): Handler<'chat.post'> {
  return async ({ requestId, text }, { session }) => {
    const { roomId, peerId } = session;
    const { message, events } = await rooms.postChat({ roomId, peerId, requestId, text });
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
