import { CONTROL_TIMEOUT_MS, PlenaryError } from '@plenary/cluster';
import type {
  Clock,
  ControlReply,
  ControlRequestInput,
  ControlRequestName,
  Epoch,
  PlacedPeer,
} from '@plenary/cluster';
import type { ClientReply, ClientRequest, ClientRequestName } from '@plenary/cluster/protocol';
import type { ClientConnection } from '../../entry/client-connection.ts';
import type { Session, MediaSession } from '../../entry/session.ts';
import type { MediaNodeLink, MediaLinks } from '../../media/control-links.ts';

/** What a request to a media node takes. */
export interface LinkServices {
  readonly links: MediaLinks;
  readonly clock: Clock;
}

export type Handler<Name extends ClientRequestName> = (
  request: ClientRequest<Name>,
  connection: ClientConnection,
) => Promise<ClientReply<Name>>;

/**
 * Asks the media node of one of the session's media. Sends at once when the link is up, so that requests of one client
 * keep their order; a link that is being opened anew is waited for as long as its node is not lost (SPEC CL14, CL32, CL33). Where the link
 * broke before the answer came, nobody knows whether the request was carried out: it is sent again, which changes nothing, unless
 * a later one of the client was answered before. Nobody who asks holds a place in a gate meanwhile (SPEC BU2).
 * @param timeoutMs - for both, in milliseconds
 * @param epoch - which media; the newest where none is named
 * @throws PlenaryError `media_unavailable`, `timed_out`, `media_lost` when the newest media is gone or the node no longer
 *   knows the peer, `stale_epoch` when the epoch is of none of the session's media, or what it answered
 */
export async function askMediaNode<Name extends ControlRequestName>(
  { links, clock }: LinkServices,
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
  const reached = async (): Promise<MediaNodeLink> => {
    const link = await links.reach(mediaNodeId, leftMs());
    // It is for the media that the client had when it asked.
    livingMedia(session, media.epoch);
    return link;
  };
  const send = async (link: MediaNodeLink): Promise<ControlReply<Name>> => {
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
function livingMedia(session: Session, epoch: Epoch | undefined): MediaSession {
  const media = session.mediaSessionOf(epoch);
  // Other than a loss: the client has newer media already, or ended this one itself, and needs to open none.
  if (media === undefined)
    throw new PlenaryError('stale_epoch', 'The epoch belongs to none of the media sessions of this peer.');
  if (media === session.media && session.mediaIsLost) throw new PlenaryError('media_lost');
  return media;
}
