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
/** Limit of one publication, far above the longest that an edge makes: a message of 1,000 sessions. */
const MAX_PUBLICATION_BYTES = 131_072;

/**
 * Socket.IO's name of a room. The prefix makes it longer than 20 characters: the sharded adapter takes a name of 20 characters for
 * the id of a socket, and would send its events to every edge.
 */
export function socketRoomOf(roomId: RoomId): string {
  return `${SOCKET_ROOM_PREFIX}${roomId}`;
}

/** The adapter's channel to which all edges subscribe. */
export const edgesChannelOf = (channelPrefix: string): string => `${channelPrefix}#/#`;
/** The channel to which edges with people in the room subscribe. */
export const roomChannelOf = (channelPrefix: string, socketRoom: string): string =>
  `${edgesChannelOf(channelPrefix)}${socketRoom}#`;

/** The types of adapter messages that edges send each other; the adapter has ten more. */
const BROADCAST = 3;
const SERVER_SIDE_EMIT = 9;
/** Socket.IO's type of a packet that carries an event. */
const EVENT_PACKET = 2;

/** Fields of every adapter message. */
const ADAPTER_FIELDS = {
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
    ...ADAPTER_FIELDS,
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
    ...ADAPTER_FIELDS,
    type: z.literal(SERVER_SIDE_EMIT),
    data: z.strictObject({ packet: z.tuple([z.literal(EDGE_MESSAGE_NAME), EDGE_MESSAGE]) }),
  }),
]);

/** A publication that may be passed to the adapter. */
export interface ReadPublication {
  readonly body: Buffer;
  /** The event of a room, if the publication carries one. */
  readonly roomEvent: { readonly roomId: RoomId; readonly event: CarriedEvent['event'] } | undefined;
}

/**
 * Reads a message of a channel. The adapter would pass any published message to any client, and close connections or put them
 * into rooms on request, so that everybody who can write to Redis could do so. Therefore it gets only publications that an edge
 * makes (SPEC NS4).
 * @returns the publication without the fields that its schema does not know
 * @throws when the message is no such publication
 */
export function readPublication(channelPrefix: string, channel: Buffer, message: Buffer): ReadPublication {
  if (message.byteLength > MAX_PUBLICATION_BYTES) throw new PlenaryError('message_too_large');
  const publication = PUBLICATION.parse(JSON.parse(message.toString()));
  const expectedChannel =
    publication.type === BROADCAST
      ? roomChannelOf(channelPrefix, publication.data.opts.rooms[0])
      : edgesChannelOf(channelPrefix);
  if (channel.toString() !== expectedChannel)
    throw new PlenaryError('malformed_message', 'It came on another channel.');
  return { body: Buffer.from(JSON.stringify(publication)), roomEvent: roomEventOf(publication) };
}

function roomEventOf(publication: z.infer<typeof PUBLICATION>): ReadPublication['roomEvent'] {
  if (publication.type !== BROADCAST) return undefined;
  const { packet, opts } = publication.data;
  const [name, notice] = packet.data;
  const roomId = ROOM_ID.parse(opts.rooms[0].slice(SOCKET_ROOM_PREFIX.length));
  return name === 'event' ? { roomId, event: notice.event } : undefined;
}
