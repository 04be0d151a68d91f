import { PlenaryError, toPlenaryError, inBackground } from '@plenary/cluster';
import type { Clock, PlacementStore } from '@plenary/cluster';
import type { MediaNodeId } from '@plenary/cluster/ids';
import type { ClientReply, ClientRequest } from '@plenary/cluster/protocol';
import { costOf, costOfNoCalls, costOfNothing, costOfOffer } from '../../limits/cost.ts';
import type { EntryGate } from '../../entry/gates/entry-gate.ts';
import type { MediaLinks } from '../../media/control-links.ts';
import type { MediaWatch } from '../../media/media-watch.ts';
import type { PeerDrops } from '../../media/peer-drops.ts';
import type { ReportFault } from '../../metrics.ts';
import type { LocalRooms } from '../../room/local-rooms.ts';
import type { RoomReader } from '../../room/room-reader.ts';
import { networkOf } from '../../media/network-of.ts';
import { permittedMedia } from '../../entry/entrance.ts';
import { digestOfPerson } from '../../entry/person.ts';
import type { HostRequest, Hosted, Placer } from '../../media/placer.ts';
import type { Republisher } from '../../recovery/republisher.ts';
import type { SessionKeeper } from '../../entry/session-keeper.ts';
import type { Session } from '../../entry/session.ts';
import type { StoreWait } from '../../recovery/store-wait.ts';
import { entrantOf } from './entrant.ts';
import { askMediaNode } from './services.ts';
import type { Handler } from './services.ts';

/** The edge answers before the client gives up at ten seconds. */
const MEDIA_OPEN_DEADLINE_MS = 9_000;
const MEDIA_CHECK_TIMEOUT_MS = 500;

export interface MediaServices {
  readonly mediaGate: EntryGate;
  readonly placements: Pick<PlacementStore, 'placementOf' | 'previousPlacementOf' | 'completeMove'>;
  readonly reader: Pick<RoomReader, 'view'>;
  readonly placer: Pick<Placer, 'host'>;
  readonly drops: Pick<PeerDrops, 'drop'>;
  readonly keeper: Pick<SessionKeeper, 'endAsGone'>;
  readonly localRooms: LocalRooms;
  readonly links: MediaLinks;
  readonly mediaWatch: Pick<MediaWatch, 'keepFor' | 'lose'>;
  readonly republisher: Pick<Republisher, 'room'>;
  readonly storeWait: Pick<StoreWait, 'untilAvailable'>;
  readonly clock: Clock;
  readonly reportFault: ReportFault;
}

/** What it takes to open media. */
type OpeningServices = Omit<MediaServices, 'reportFault'>;

export function handleMediaOpen(services: OpeningServices): Handler<'media.open'> {
  return async (request, connection) => {
    const { session } = connection;
    const deadlineMs = services.clock.monotonicMs() + MEDIA_OPEN_DEADLINE_MS;
    const isWanted = (): boolean => services.localRooms.holds(session);
    const entrant = entrantOf(connection, session.peerId, isWanted);
    return session.inTurn(async () => {
      const endKeeping = services.mediaWatch.keepFor(session.peerId);
      try {
        const offer = await services.mediaGate.pass(entrant, async (place) =>
          openAnew(services, session, request, { deadlineMs, entrant, place }),
        );
        connection.adjustCharge(costOfOffer(offer));
        return offer;
      } catch (fault) {
        const { moveFrom } = request;
        if (moveFrom !== undefined && toPlenaryError(fault).code === 'store_unavailable')
          session.noteUnsureMove(moveFrom);
        throw fault;
      } finally {
        endKeeping();
      }
    });
  };
}

async function openAnew(
  services: OpeningServices,
  session: Session,
  { moveFrom, insteadOf, isUnreachable, ...media }: ClientRequest<'media.open'>,
  turn: Pick<HostRequest, 'deadlineMs' | 'entrant' | 'place'>,
): Promise<ClientReply<'media.open'>> {
  const { placements, reader, placer, drops, keeper, localRooms, links, republisher } = services;
  await turn.place.whileWaiting(async () => services.storeWait.untilAvailable());
  if (!localRooms.holds(session)) throw new PlenaryError('session_gone');
  const { roomId, peerId, grants } = session;
  const before = session.allMedia;
  const look = async () =>
    turn.place.whileSlow(async () =>
      Promise.all([
        reader.view(roomId),
        placements.placementOf(roomId, peerId),
        moveFrom === undefined ? undefined : placements.previousPlacementOf(roomId, peerId),
      ]),
    );
  let [view, placement, previous] = await look();
  if (placement === undefined) {
    // The store may only have forgotten it.
    await turn.place.whileSlow(async () => republisher.room(roomId));
    if (!localRooms.holds(session)) throw new PlenaryError('session_gone');
    [view, placement, previous] = await look();
  }
  if (placement === undefined) {
    keeper.endAsGone(session);
    throw new PlenaryError('session_gone');
  }
  const kept =
    moveFrom === undefined ? undefined : [placement, previous].find((one) => one?.epoch === moveFrom);
  if (moveFrom !== undefined && kept === undefined) throw new PlenaryError('stale_epoch');
  const request: HostRequest = {
    roomId,
    peerId,
    ...networkOf(session.socket),
    ...digestOfPerson(grants),
    requestId: placement.requestId,
    media: permittedMedia(media, grants),
    view,
    datacenter: grants.datacenter,
    roundTrips: grants.roundTrips ?? [],
    ...(kept === undefined ? {} : { keeps: kept.epoch }),
    knownHoldEpoch: () => session.knownHoldEpoch,
    replaces: moveFrom === undefined ? session.media.epoch : (insteadOf ?? moveFrom),
    exclude:
      kept === undefined
        ? unreachable(services, session.media.mediaNodeId)
        : [kept.mediaNodeId, ...(insteadOf === placement.epoch ? [placement.mediaNodeId] : [])],
    ...turn,
    onPlaced: ({ epoch }) => session.notePlaced(epoch),
  };
  const unreached = [
    ...session.unreachedNodes,
    ...(isUnreachable === true ? [session.media.mediaNodeId] : []),
  ];
  const hosted =
    unreached.length > 0 && kept === undefined
      ? await elsewhere(placer, request, unreached)
      : await placer.host(request);
  const opened = {
    mediaNodeId: hosted.placement.mediaNodeId,
    epoch: hosted.placement.epoch,
    incarnation: hosted.incarnation,
    holdEpoch: hosted.placement.holdEpoch,
  };
  const goesOn =
    kept === undefined
      ? undefined
      : {
          mediaNodeId: kept.mediaNodeId,
          epoch: kept.epoch,
          incarnation:
            session.mediaSessionOf(kept.epoch)?.incarnation ?? links.get(kept.mediaNodeId)?.incarnation,
        };
  session.moveTo(opened, goesOn);
  session.consumers.openedWith(hosted.offer);
  localRooms.tracksOf(roomId).learn(view.tracks);
  for (const old of before) {
    if (session.mediaSessionOf(old.epoch) === undefined) {
      inBackground(() => drops.drop(old.mediaNodeId, session.placedAt(old)));
    }
  }
  return hosted.offer;
}

export function handleMediaMoved(
  services: Pick<MediaServices, 'placements' | 'drops' | 'reportFault'>,
): Handler<'media.moved'> {
  return async ({ epoch }, connection) => {
    const { session } = connection;
    return session.inTurn(async () => {
      const { placements, drops, reportFault } = services;
      const { previous } = session;
      // Another move or a loss came between: then its own end tells. Or it is known already.
      if (session.media.epoch !== epoch || session.hasCompletedMove) {
        connection.adjustCharge(costOfNothing(costOf('media.moved', { epoch }, connection.people)));
        return {};
      }
      session.completeMove();
      if (previous !== undefined)
        inBackground(() => drops.drop(previous.mediaNodeId, session.placedAt(previous)));
      try {
        await placements.completeMove(session.roomId, session.peerId, epoch);
        session.noteMoveStored(epoch);
      } catch (fault) {
        // What stays noted of the previous placement harms nothing: its node has dropped the peer.
        reportFault('departure', fault, { doing: 'settling a move' });
      }
      return {};
    });
  };
}

/** Nodes that the client cannot reach may be all there is, and the paths to them be back. */
async function elsewhere(
  placer: Pick<Placer, 'host'>,
  request: HostRequest,
  unreached: readonly MediaNodeId[],
): Promise<Hosted> {
  try {
    return await placer.host({ ...request, exclude: [...(request.exclude ?? []), ...unreached] });
  } catch (fault) {
    if (toPlenaryError(fault).code !== 'no_media_node') throw fault;
    return placer.host(request);
  }
}

/** The old node is as good as any, unless it does not answer. */
function unreachable({ links }: Pick<MediaServices, 'links'>, mediaNodeId: MediaNodeId): MediaNodeId[] {
  return links.get(mediaNodeId)?.isUp === true ? [] : [mediaNodeId];
}

/**
 * For a client whose media has fallen silent. An answer of any kind tells it that its edge is there, so it has to come before
 * the client takes the edge for gone (SPEC SE16).
 */
export function handleMediaCheck(
  services: Pick<MediaServices, 'links' | 'clock' | 'mediaWatch'>,
): Handler<'media.check'> {
  const { mediaWatch } = services;
  return async ({ epoch }, { session }) => {
    const media = session.mediaSessionOf(epoch) ?? session.media;
    const reply = await askMediaNode(
      services,
      session,
      epoch,
      'peer.attach',
      (placed) => ({ ...placed, countMedia: true }),
      MEDIA_CHECK_TIMEOUT_MS,
    );
    if (!reply.alive) await mediaWatch.lose([{ session, media }], 'node_lost');
    return reply;
  };
}

export function handleTransportConnect(
  services: Pick<MediaServices, 'links' | 'clock'>,
): Handler<'transport.connect'> {
  return async ({ epoch, ...request }, connection) => {
    const { session, people } = connection;
    const { calls } = await askMediaNode(services, session, epoch, 'transport.connect', (placed) => ({
      ...placed,
      ...request,
    }));
    connection.adjustCharge(costOfNoCalls(costOf('transport.connect', request, people), calls));
    return {};
  };
}

export function handleTransportRestartIce(
  services: Pick<MediaServices, 'links' | 'clock'>,
): Handler<'transport.restartIce'> {
  return async ({ epoch, ...request }, { session }) =>
    askMediaNode(services, session, epoch, 'transport.restartIce', (placed) => ({ ...placed, ...request }));
}
