import { checkPublish } from '../../auth/permissions.ts';
import { askMediaNode } from './services.ts';
import type { Handler, HandlerServices } from './services.ts';

export function handleTrackPublish({
  links,
  channel,
  localRooms,
}: HandlerServices): Handler<'track.publish'> {
  return async (request, { session }) => {
    checkPublish(session.grants, request);
    const homeNodeId = session.media.mediaNodeId;
    const { trackId, events } = await askMediaNode(links, session, 'track.publish', {
      ...session.placed,
      ...request,
    });
    const { kind, source } = request;
    localRooms
      .tracksOf(session.roomId)
      .learn([{ trackId, peerId: session.peerId, kind, source, homeNodeId }]);
    channel.publishEvents(session.roomId, events);
    return { trackId };
  };
}

/** That a track is one's own is checked by the media node, which knows. */
export function handleTrackPause({ links, channel }: HandlerServices): Handler<'track.pause'> {
  return async (request, { session }) => {
    const payload = { ...session.placed, ...request };
    const { events } = await askMediaNode(links, session, 'track.pause', payload);
    channel.publishEvents(session.roomId, events);
    return {};
  };
}

export function handleTrackEnd({ links, channel, localRooms }: HandlerServices): Handler<'track.end'> {
  return async (request, { session }) => {
    const payload = { ...session.placed, ...request };
    const { events } = await askMediaNode(links, session, 'track.end', payload);
    localRooms.tracksOf(session.roomId).forget([request.trackId]);
    channel.publishEvents(session.roomId, events);
    return {};
  };
}
