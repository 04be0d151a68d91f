import { PlenaryError } from '@plenary/cluster';
import { ROOM_ID } from '@plenary/cluster/ids';
import type { RoomId } from '@plenary/cluster/ids';
import type { CarriedEvent } from '@plenary/cluster/protocol';
import { OPAQUE_TEXT, patternText } from '@plenary/cluster/protocol';
import { z } from 'zod';
import { EDGE_MESSAGE } from './client-socket.ts';
import { ROOM_NOTICE } from './room-notice.ts';

/** The adapter's name of a message between edges. */
export const EDGE_MESSAGE_NAME = 'edge.message';
const SOCKET_ROOM_PREFIX = 'plenary-meeting-room:';
/** Far above the longest that an edge publishes, which is a message of 1,000 sessions. */
const MAX_PUBLICATION_BYTES = 131_072;

/**
 * Socket.IO's name of a room. The prefix makes it longer than 20 characters: the sharded adapter takes a name of 20 for
 * a socket's own, and would send its events to every edge.
 */
export function socketRoomOf(roomId: RoomId): string {
  return `${SOCKET_ROOM_PREFIX}${roomId}`;
}

/** The channel of the adapter that all edges hear. */
export const edgesChannelOf = (channelPrefix: string): string => `${channelPrefix}#/#`;
/** The channel that the edges hear which have people in the room. */
export const roomChannelOf = (channelPrefix: string, socketRoom: string): string =>
  `${edgesChannelOf(channelPrefix)}${socketRoom}#`;

/** The types of the adapter's messages that edges send each other; it knows ten more. */
const BROADCAST = 3;
const SERVER_SIDE_EMIT = 9;
/** Socket.IO's type of a packet that carries an event. */
const EVENT_PACKET = 2;

const OF_ADAPTER = {
  uid: patternText(/^[0-9a-f]{16}$/, 16, 'must be the id of an adapter'),
  nsp: z.literal('/'),
};
const SOCKET_ROOM = OPAQUE_TEXT.refine(
  (name) =>
    name.startsWith(SOCKET_ROOM_PREFIX) && ROOM_ID.safeParse(name.slice(SOCKET_ROOM_PREFIX.length)).success,
  'must be a room of ours',
);

const PUBLICATION = z.discriminatedUnion('type', [
  z.strictObject({
    ...OF_ADAPTER,
    type: z.literal(BROADCAST),
    data: z.strictObject({
      packet: z.strictObject({
        type: z.literal(EVENT_PACKET),
        nsp: z.literal('/').optional(),
        data: ROOM_NOTICE,
      }),
      opts: z.strictObject({
        rooms: z.tuple([SOCKET_ROOM]),
        except: z.tuple([]),
        flags: z.strictObject({ volatile: z.boolean().optional() }),
      }),
    }),
  }),
  z.strictObject({
    ...OF_ADAPTER,
    type: z.literal(SERVER_SIDE_EMIT),
    data: z.strictObject({ packet: z.tuple([z.literal(EDGE_MESSAGE_NAME), EDGE_MESSAGE]) }),
  }),
]);

/** A publication that may be handed on. */
export interface ReadPublication {
  readonly body: Buffer;
  /** What happened in a room, where it tells of that. */
  readonly news: { readonly roomId: RoomId; readonly event: CarriedEvent['event'] } | undefined;
}

/**
 * Reads what came on a channel. The adapter would hand on whatever is published there, to any client, and close connections,
 * or put them into rooms, as it is told: whoever can write to Redis could. So it gets only what an edge publishes (SPEC NS4).
 * @returns the publication without anything that its schema does not know
 * @throws when it is none
 */
export function readPublication(channelPrefix: string, channel: Buffer, message: Buffer): ReadPublication {
  if (message.byteLength > MAX_PUBLICATION_BYTES) throw new PlenaryError('message_too_large');
  const publication = PUBLICATION.parse(JSON.parse(message.toString()));
  const fitting =
    publication.type === BROADCAST
      ? roomChannelOf(channelPrefix, publication.data.opts.rooms[0])
      : edgesChannelOf(channelPrefix);
  if (channel.toString() !== fitting)
    throw new PlenaryError('malformed_message', 'It came on another channel.');
  return { body: Buffer.from(JSON.stringify(publication)), news: newsOf(publication) };
}

function newsOf(publication: z.infer<typeof PUBLICATION>): ReadPublication['news'] {
  if (publication.type !== BROADCAST) return undefined;
  const { packet, opts } = publication.data;
  const [name, notice] = packet.data;
  const roomId = ROOM_ID.parse(opts.rooms[0].slice(SOCKET_ROOM_PREFIX.length));
  return name === 'event' ? { roomId, event: notice.event } : undefined;
}
