import { PlenaryError } from '@plenary/cluster';
import type { MediaNodeId } from '@plenary/cluster/ids';
import type { ClientReply, MediaRequest } from '@plenary/cluster/protocol';
import { mediaOf } from '../../session/entrance.ts';
import type { Session } from '../../session/session.ts';
import { askMediaNode } from './services.ts';
import type { Handler, HandlerServices } from './services.ts';

/** The edge answers before the client gives up at ten seconds. */
const MEDIA_OPEN_DEADLINE_MS = 9_000;
const MEDIA_CHECK_TIMEOUT_MS = 1_000;

export function handleMediaOpen(services: HandlerServices): Handler<'media.open'> {
  return async (request, connection) => {
    const { session } = connection;
    return session.inTurn(async () => {
      const endKeeping = services.mediaWatch.keepFor(session.peerId);
      try {
        return await openAnew(services, session, request);
      } finally {
        endKeeping();
      }
    });
  };
}

async function openAnew(
  services: HandlerServices,
  session: Session,
  request: MediaRequest,
): Promise<ClientReply<'media.open'>> {
  const { rooms, placer, departures, clock, keeper, localRooms, republisher } = services;
  const deadlineMs = clock.monotonicMs() + MEDIA_OPEN_DEADLINE_MS;
  await services.storeWait.untilAvailable();
  if (!localRooms.holds(session)) throw new PlenaryError('session_gone');
  const { roomId, peerId, grants } = session;
  const old = { ...session.media, placed: session.placed };
  const look = async () => Promise.all([rooms.view(roomId), rooms.placementOf(roomId, peerId)]);
  let [view, placement] = await look();
  if (placement === undefined) {
    // The store may only have forgotten it.
    await republisher.room(roomId);
    if (!localRooms.holds(session)) throw new PlenaryError('session_gone');
    [view, placement] = await look();
  }
  if (placement === undefined) {
    keeper.endAsGone(session);
    throw new PlenaryError('session_gone');
  }
  const hosted = await placer.host({
    roomId,
    peerId,
    requestId: placement.requestId,
    media: mediaOf(request, grants),
    view,
    datacenter: grants.datacenter,
    roundTrips: grants.roundTrips ?? [],
    replaces: old.epoch,
    exclude: unreachable(services, old.mediaNodeId),
    deadlineMs,
  });
  session.moveTo({
    mediaNodeId: hosted.placement.mediaNodeId,
    epoch: hosted.placement.epoch,
    incarnation: hosted.incarnation,
    holdEpoch: hosted.placement.holdEpoch,
  });
  localRooms.tracksOf(roomId).learn(view.tracks);
  if (hosted.placement.epoch > old.epoch) void departures.dropMedia(old.mediaNodeId, old.placed);
  return hosted.offer;
}

/** The old node is as good as any, unless it does not answer. */
function unreachable({ links }: HandlerServices, mediaNodeId: MediaNodeId): MediaNodeId[] {
  return links.get(mediaNodeId)?.isUp === true ? [] : [mediaNodeId];
}

/**
 * For a client whose media has fallen silent. An answer of any kind tells it that its edge is there, so it has to come before
 * the client takes the edge for gone (SPEC SE16).
 */
export function handleMediaCheck({ links, mediaWatch }: HandlerServices): Handler<'media.check'> {
  return async (_request, { session }) => {
    const { placed } = session;
    const { alive } = await askMediaNode(links, session, 'peer.attach', placed, MEDIA_CHECK_TIMEOUT_MS);
    if (!alive && session.media.epoch === placed.epoch) await mediaWatch.lose([session], 'node_lost');
    return { alive };
  };
}

export function handleTransportConnect({ links }: HandlerServices): Handler<'transport.connect'> {
  return async (request, { session }) =>
    askMediaNode(links, session, 'transport.connect', { ...session.placed, ...request });
}

export function handleTransportRestartIce({ links }: HandlerServices): Handler<'transport.restartIce'> {
  return async (request, { session }) =>
    askMediaNode(links, session, 'transport.restartIce', { ...session.placed, ...request });
}
