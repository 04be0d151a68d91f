import { checkPublish } from '../../auth/permissions.ts';
import { askMediaNode } from './services.ts';
import { costOf, costOfNoEvent, costOfNothing } from '../../limits/cost.ts';
import type { Handler, HandlerServices } from './services.ts';

export function handleTrackPublish({
  links,
  channel,
  localRooms,
}: HandlerServices): Handler<'track.publish'> {
  return async ({ epoch, ...request }, connection) => {
    const { session } = connection;
    checkPublish(session.grants, request);
    const homeNodeId = (session.mediaOf(epoch) ?? session.media).mediaNodeId;
    const { trackId, events } = await askMediaNode(links, session, epoch, 'track.publish', (placed) => ({
      ...placed,
      ...request,
    }));
    const { kind, source } = request;
    localRooms
      .tracksOf(session.roomId)
      .learn([{ trackId, peerId: session.peerId, kind, source, homeNodeId }]);
    if (events.length === 0) connection.settle(costOfNoEvent(connection.people));
    channel.publishEvents(session.roomId, events);
    return { trackId };
  };
}

/** That a track is one's own is checked by the media node, which knows. */
export function handleTrackPause({ links, channel }: HandlerServices): Handler<'track.pause'> {
  return async ({ epoch, ...request }, connection) => {
    const { session } = connection;
    const { events } = await askMediaNode(links, session, epoch, 'track.pause', (placed) => ({
      ...placed,
      ...request,
    }));
    if (events.length === 0)
      connection.settle(costOfNothing(costOf('track.pause', request, connection.people)));
    channel.publishEvents(session.roomId, events);
    return {};
  };
}

export function handleTrackEnd({ links, channel, localRooms }: HandlerServices): Handler<'track.end'> {
  return async ({ epoch, ...request }, connection) => {
    const { session } = connection;
    const { events } = await askMediaNode(links, session, epoch, 'track.end', (placed) => ({
      ...placed,
      ...request,
    }));
    localRooms.tracksOf(session.roomId).forgetOwn(session.peerId, request.trackId);
    if (events.length === 0) connection.settle(costOfNoEvent(connection.people));
    channel.publishEvents(session.roomId, events);
    return {};
  };
}
