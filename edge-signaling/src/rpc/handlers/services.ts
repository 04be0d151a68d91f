import { CONTROL_TIMEOUT_MS, PlenaryError } from '@plenary/cluster';
import type {
  Clock,
  ControlReply,
  ControlRequestInput,
  ControlRequestName,
  Epoch,
  PlacedPeer,
  PlacementStore,
  RoomLog,
} from '@plenary/cluster';
import type { ClientReply, ClientRequest, ClientRequestName } from '@plenary/cluster/protocol';
import type { EntryGate } from '../../limits/entry-gate.ts';
import type { MediaLink, MediaLinks } from '../../media/control-links.ts';
import type { Placer } from '../../media/placer.ts';
import type { EdgeMetrics, ReportFault } from '../../metrics.ts';
import type { Republisher } from '../../room/republisher.ts';
import type { LocalRooms } from '../../room/local-rooms.ts';
import type { RoomReader } from '../../room/room-reader.ts';
import type { Connection } from '../../session/connection.ts';
import type { Departures } from '../../session/departures.ts';
import type { Entrance } from '../../session/entrance.ts';
import type { MediaWatch } from '../../session/media-watch.ts';
import type { SessionKeeper } from '../../session/keeper.ts';
import type { StoreWait } from '../../store-wait.ts';
import type { Session, SessionMedia } from '../../session/session.ts';
import type { RoomChannel } from '../../transport/client-socket.ts';

/** What handlers work with. */
export interface HandlerServices {
  readonly entrance: Entrance;
  /** Joins, resumes and openings of media have a gate each, so that a storm of the one kind does not hold up the others. */
  readonly joinGate: EntryGate;
  readonly resumeGate: EntryGate;
  readonly mediaGate: EntryGate;
  readonly keeper: SessionKeeper;
  readonly storeWait: StoreWait;
  readonly republisher: Republisher;
  readonly departures: Departures;
  readonly placer: Placer;
  readonly links: MediaLinks;
  readonly localRooms: LocalRooms;
  readonly mediaWatch: Pick<MediaWatch, 'keepFor' | 'lose'>;
  readonly placements: Pick<PlacementStore, 'placementOf' | 'formerPlacement' | 'settlePeer'>;
  readonly roomLog: Pick<RoomLog, 'postChat' | 'tracks'>;
  readonly reader: RoomReader;
  readonly channel: RoomChannel;
  /** Whether nobody new is taken. */
  readonly isDraining: () => boolean;
  readonly clock: Clock;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

export type Handler<Name extends ClientRequestName> = (
  request: ClientRequest<Name>,
  connection: Connection,
) => Promise<ClientReply<Name>>;

/**
 * Asks the media node of one of the session's media. Sends at once when the link is up, so that requests of one client
 * keep their order; a link that is being opened anew is waited for as long as its node is not lost (SPEC CL14). Where the link
 * broke before the answer came, nobody knows whether the request was carried out: it is sent again, which changes nothing, unless
 * a later one of the client was answered before. Nobody who asks holds a place in a gate meanwhile (SPEC BU2).
 * @param timeoutMs - for both, in milliseconds
 * @param epoch - which media; the newest where none is named
 * @throws PlenaryError `media_unavailable`, `timed_out`, `media_lost` when the newest media is gone or the node no longer
 *   knows the peer, `stale_epoch` when the epoch is of none of the session's media, or what it answered
 */
export async function askMediaNode<Name extends ControlRequestName>(
  { links, clock }: Pick<HandlerServices, 'links' | 'clock'>,
  session: Session,
  epoch: Epoch | undefined,
  name: Name,
  payload: (placed: PlacedPeer) => ControlRequestInput<Name>,
  timeoutMs = CONTROL_TIMEOUT_MS,
): Promise<ControlReply<Name>> {
  const media = livingMedia(session, epoch);
  const { mediaNodeId } = media;
  const untilMs = clock.monotonicMs() + timeoutMs;
  const leftMs = (): number => untilMs - clock.monotonicMs();
  const reached = async (): Promise<MediaLink> => {
    const link = await links.reach(mediaNodeId, leftMs());
    // It is for the media that the client had when it asked.
    livingMedia(session, media.epoch);
    return link;
  };
  const send = async (link: MediaLink): Promise<ControlReply<Name>> => {
    const reply = await link.call(name, payload(session.placedAt(media)), Math.max(1, leftMs()));
    session.noteMediaAnswer(turn);
    return reply;
  };
  const known = links.get(mediaNodeId);
  const link = known?.isUp === true ? known : await reached();
  const turn = session.beginMediaRequest();
  try {
    return await send(link).catch(async (fault: unknown) => {
      const hasBroken = fault instanceof PlenaryError && fault.code === 'timed_out' && !link.isUp;
      if (!hasBroken || leftMs() <= 0 || session.isOvertaken(turn)) throw fault;
      return send(await reached());
    });
  } catch (fault) {
    const isLost = fault instanceof PlenaryError && fault.code === 'peer_not_found';
    throw isLost ? new PlenaryError('media_lost', undefined, { cause: fault }) : fault;
  }
}

/** @throws PlenaryError `media_lost`, `stale_epoch` */
function livingMedia(session: Session, epoch: Epoch | undefined): SessionMedia {
  const media = session.mediaOf(epoch);
  // Other than a loss: the client has newer media already, or ended this one itself, and needs to open none.
  if (media === undefined) throw new PlenaryError('stale_epoch', 'The epoch is of none of your media.');
  if (media === session.media && session.mediaIsLost) throw new PlenaryError('media_lost');
  return media;
}
