import { checkPublish } from '../../auth/permissions.ts';
import { askMediaNode } from './services.ts';
import { costOf, costOfNoEvent, costOfNothing } from '../../limits/cost.ts';
import type { Cost } from '../../limits/cost.ts';
import type { Connection } from '../../session/connection.ts';
import type { Handler, HandlerServices } from './services.ts';

type TrackServices = Pick<HandlerServices, 'links' | 'clock' | 'channel' | 'localRooms'>;

export function handleTrackPublish(services: TrackServices): Handler<'track.publish'> {
  const { channel, localRooms } = services;
  return async ({ epoch, ...request }, connection) => {
    const { session } = connection;
    checkPublish(session.grants, request);
    const homeNodeId = (session.mediaOf(epoch) ?? session.media).mediaNodeId;
    const { trackId, events, calls } = await askMediaNode(
      services,
      session,
      epoch,
      'track.publish',
      (placed) => ({ ...placed, ...request }),
    );
    const { kind, source } = request;
    localRooms
      .tracksOf(session.roomId)
      .learn([{ trackId, peerId: session.peerId, kind, source, homeNodeId }]);
    settleChange(connection, costOf('track.publish', request, connection.people), { events, calls });
    channel.publishEvents(session.roomId, events);
    return { trackId };
  };
}

/** That a track is one's own is checked by the media node, which knows. */
export function handleTrackPause(services: Omit<TrackServices, 'localRooms'>): Handler<'track.pause'> {
  const { channel } = services;
  return async ({ epoch, ...request }, connection) => {
    const { session } = connection;
    const { events } = await askMediaNode(services, session, epoch, 'track.pause', (placed) => ({
      ...placed,
      ...request,
    }));
    if (events.length === 0)
      connection.settle(costOfNothing(costOf('track.pause', request, connection.people)));
    channel.publishEvents(session.roomId, events);
    return {};
  };
}

export function handleTrackEnd(services: TrackServices): Handler<'track.end'> {
  const { channel, localRooms } = services;
  return async ({ epoch, ...request }, connection) => {
    const { session } = connection;
    const { events, calls } = await askMediaNode(services, session, epoch, 'track.end', (placed) => ({
      ...placed,
      ...request,
    }));
    localRooms.tracksOf(session.roomId).forgetOwn(session.peerId, request.trackId);
    settleChange(connection, costOf('track.end', request, connection.people), { events, calls });
    channel.publishEvents(session.roomId, events);
    return {};
  };
}

/** Gives back what a change did not take: all of it where it changed nothing, the telling where nobody was told. */
function settleChange(
  connection: Connection,
  cost: Cost,
  { events, calls }: { readonly events: readonly unknown[]; readonly calls?: number | undefined },
): void {
  if (events.length > 0) return;
  connection.settle(calls === 0 ? costOfNothing(cost) : costOfNoEvent(connection.people));
}
