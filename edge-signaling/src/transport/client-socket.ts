/**
 * What the rest of an edge knows of its server: sockets of clients, and rooms of sockets over all edges. Only `server/` knows
 * Socket.IO.
 */
import type { EdgeId, PeerId, RoomId } from '@plenary/cluster/ids';
import { EPOCH } from '@plenary/cluster';
import type { Epoch, PlenaryError } from '@plenary/cluster';
import type { Levels } from '../limits/budget.ts';
import type { FramePurse } from '../limits/frame-budgets.ts';
import type { RoomNoticeName } from './room-notice.ts';
import type { EdgeNoticeInput, EdgeNoticeName, LoggedEvent, ReplyEnvelope } from '@plenary/cluster/protocol';
import { z } from 'zod';
import { EDGE_ID, PEER_ID, ROOM_ID } from '@plenary/cluster/ids';

export type Acknowledge = (reply: ReplyEnvelope) => void;

/** One message as it came: nothing of it is checked. */
export interface IncomingMessage {
  readonly name: unknown;
  readonly payloads: readonly unknown[];
  /** Absent when the client asked for no acknowledgement. */
  readonly acknowledge: Acknowledge | undefined;
}

export interface ClientSocket {
  /** Random and of this connection only: also the nonce that its client signs to resume on it. */
  readonly id: string;
  /** Of the client, as far as trusted proxies tell. */
  readonly address: string;
  isOpen(): boolean;
  notify<Name extends EdgeNoticeName>(name: Name, payload: EdgeNoticeInput<Name>): void;
  /** Hears the room's notices from now on; does nothing on a closed socket. */
  enterRoom(roomId: RoomId): void;
  leaveRoom(roomId: RoomId): void;
  /** Tells the client why and closes; does nothing the second time. */
  bye(error: PlenaryError): void;
  /** In a room a socket may stay for ever; outside it is idle, and idle ones are limited. */
  noteJoined(): void;
  noteLeft(): void;
  /** From now on a session and its person pay for the frames that come in; for those that came before, too. */
  payFramesFrom(purse: FramePurse, person: string): void;
}

/** What becomes of a socket; set by who accepts it. */
export interface SocketListener {
  onMessage(message: IncomingMessage): void;
  onClosed(reason: string): void;
}

export type AcceptSocket = (socket: ClientSocket) => SocketListener;

/** Sessions that one message between edges may name. */
export const MAX_SESSIONS_NAMED = 1_000;

/** Purses that one message between edges may name. */
export const MAX_PURSES_NAMED = 200;
const LEVEL = z.number().int();
const PURSE_LEFT = z.object({
  peerId: PEER_ID,
  heldUnder: EPOCH,
  left: z.object({ work: LEVEL, mediasoup: LEVEL, store: LEVEL, bytes: LEVEL, deliveries: LEVEL }),
});
export interface PurseLeft {
  readonly peerId: PeerId;
  /** The newest hold of the edge that tells of it: who took it up from there believes it, once. */
  readonly heldUnder: Epoch;
  readonly left: Levels;
}

/** A session that an edge holds since then. */
export interface SessionHold {
  readonly peerId: PeerId;
  readonly holdEpoch: Epoch;
}

/** A message between edges, over the adapter. */
export const EDGE_MESSAGE = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('sessions.attached'),
    sessions: z.array(z.object({ peerId: PEER_ID, holdEpoch: EPOCH })).max(MAX_SESSIONS_NAMED),
    edgeId: EDGE_ID,
  }),
  z.object({
    type: z.literal('sessions.lookup'),
    peerIds: z.array(PEER_ID).max(MAX_SESSIONS_NAMED),
    edgeId: EDGE_ID,
  }),
  z.object({ type: z.literal('purses.left'), purses: z.array(PURSE_LEFT).max(MAX_PURSES_NAMED) }),
  z.object({ type: z.literal('room.lookup'), roomId: ROOM_ID, edgeId: EDGE_ID }),
]);
export type EdgeMessage =
  /** `edgeId` holds the sessions now, unless an edge took one up later: what is published again ends nothing (SPEC NS6). */
  | {
      readonly type: 'sessions.attached';
      readonly sessions: readonly SessionHold[];
      readonly edgeId: EdgeId;
    }
  /** The store names `edgeId` for these sessions, which does not have them: an edge that has one says so to the store. */
  | { readonly type: 'sessions.lookup'; readonly peerIds: readonly PeerId[]; readonly edgeId: EdgeId }
  /** What sessions had left that another edge holds now: no more is in their purses there. */
  | { readonly type: 'purses.left'; readonly purses: readonly PurseLeft[] }
  /** `edgeId` holds sessions of the room by the store's account, and may not know it: it is to look after them. */
  | { readonly type: 'room.lookup'; readonly roomId: RoomId; readonly edgeId: EdgeId };

/** Notices to rooms. All edges hear them; while the store is away, only the sockets of this one. */
export interface RoomChannel {
  publishEvents(roomId: RoomId, events: readonly LoggedEvent[]): void;
  publish<Name extends RoomNoticeName>(roomId: RoomId, name: Name, payload: EdgeNoticeInput<Name>): void;
  /** To sockets of this edge only. */
  publishLocally<Name extends EdgeNoticeName>(
    roomId: RoomId,
    name: Name,
    payload: EdgeNoticeInput<Name>,
  ): void;
  tellEdges(message: EdgeMessage): void;
}
