import { PlenaryError } from '@plenary/cluster';
import type { TrackId } from '@plenary/cluster/ids';
import type { LoggedEvent, RoomEvent } from '@plenary/cluster/protocol';
import { checkPublish } from '../../entry/permissions.ts';
import { askMediaNode } from './services.ts';
import {
  COST_OF_FURTHER_TRACK,
  costOf,
  costOfNoEvent,
  costOfNothing,
  FIRST_TRACKS,
} from '../../limits/cost.ts';
import type { Cost } from '../../limits/cost.ts';
import type { ClientConnection } from '../../entry/client-connection.ts';
import type { Session } from '../../entry/session.ts';
import type { ReportFault } from '../../metrics.ts';
import type { LocalRooms } from '../../room/local-rooms.ts';
import type { RoomChannel } from '../../transport/client-socket.ts';
import type { Handler, LinkServices } from './services.ts';

export interface TrackServices extends LinkServices {
  readonly channel: Pick<RoomChannel, 'publishEvents'>;
  readonly localRooms: LocalRooms;
  readonly reportFault: ReportFault;
}

export function handleTrackPublish(services: TrackServices): Handler<'track.publish'> {
  const { channel, localRooms } = services;
  return async ({ epoch, ...request }, connection) => {
    const { session } = connection;
    checkPublish(session.grants, request);
    const media = session.mediaSessionOf(epoch) ?? session.media;
    const homeNodeId = media.mediaNodeId;
    const {
      trackId,
      events: told,
      calls,
    } = await askMediaNode(services, session, epoch, 'track.publish', (placed) => ({
      ...placed,
      ...request,
    }));
    const { kind, source } = request;
    const events = believed(services, session, trackId, told);
    const tracks = localRooms.tracksOf(session.roomId);
    if (tracks.mayBeOf(session.peerId, trackId))
      tracks.learn([{ trackId, peerId: session.peerId, kind, source, homeNodeId }]);
    adjustChargeOfChange(connection, costOf('track.publish', request, connection.people), { events, calls });
    if (events.length > 0 && session.countPublication(media) > FIRST_TRACKS)
      connection.adjustCharge(COST_OF_FURTHER_TRACK);
    channel.publishEvents(session.roomId, events);
    return { trackId };
  };
}

/** That a track is one's own is checked by the media node, which knows. */
export function handleTrackPause(services: TrackServices): Handler<'track.pause'> {
  const { channel } = services;
  return async ({ epoch, ...request }, connection) => {
    const { session } = connection;
    const { events: told } = await askMediaNode(services, session, epoch, 'track.pause', (placed) => ({
      ...placed,
      ...request,
    }));
    const events = believed(services, session, request.trackId, told);
    if (events.length === 0)
      connection.adjustCharge(costOfNothing(costOf('track.pause', request, connection.people)));
    channel.publishEvents(session.roomId, events);
    return {};
  };
}

export function handleTrackEnd(services: TrackServices): Handler<'track.end'> {
  const { channel, localRooms } = services;
  return async ({ epoch, ...request }, connection) => {
    const { session } = connection;
    const { events: told, calls } = await askMediaNode(services, session, epoch, 'track.end', (placed) => ({
      ...placed,
      ...request,
    }));
    const events = believed(services, session, request.trackId, told);
    localRooms.tracksOf(session.roomId).forgetOwn(session.peerId, request.trackId);
    adjustChargeOfChange(connection, costOf('track.end', request, connection.people), { events, calls });
    channel.publishEvents(session.roomId, events);
    return {};
  };
}

/** What a media node's answer tells of the one track of this peer that it was asked about: nothing else is its to tell (SPEC CL35). */
function believed(
  { localRooms, reportFault }: TrackServices,
  { roomId, peerId }: Session,
  trackId: TrackId,
  told: readonly LoggedEvent[],
): LoggedEvent[] {
  const isAbout = (event: RoomEvent): boolean => {
    if (event.type === 'track.published')
      return event.track.trackId === trackId && event.track.peerId === peerId;
    if (event.type === 'track.ended') return event.trackId === trackId && event.peerId === peerId;
    return event.type === 'track.changed' && event.trackId === trackId;
  };
  const isOwn = localRooms.tracksOf(roomId).mayBeOf(peerId, trackId);
  const events = isOwn ? told.filter(({ event }) => isAbout(event)) : [];
  if (events.length < told.length) {
    const error = new PlenaryError('unauthorised', 'It tells of tracks that it was not asked about.');
    reportFault('control_notice', error, { roomId, peerId, trackId });
  }
  return events;
}

/** Gives back what a change did not take: all of it where it changed nothing, the telling where nobody was told. */
function adjustChargeOfChange(
  connection: ClientConnection,
  cost: Cost,
  { events, calls }: { readonly events: readonly unknown[]; readonly calls?: number | undefined },
): void {
  if (events.length > 0) return;
  connection.adjustCharge(calls === 0 ? costOfNothing(cost) : costOfNoEvent(connection.people));
}
