/**
 * The ports of an edge's server: client sockets, and rooms of sockets on all edges. Only `server/` uses Socket.IO.
 */
import type { EdgeId, PeerId, RoomId } from '@plenary/cluster/ids';
import { EPOCH } from '@plenary/cluster';
import type { Epoch, PlenaryError } from '@plenary/cluster';
import type { Levels } from '../limits/budget.ts';
import type { FrameBudget } from '../limits/frame-budgets.ts';
import type { RoomNoticeName } from './room-notice.ts';
import type { EdgeNoticeInput, EdgeNoticeName, LoggedEvent, ReplyEnvelope } from '@plenary/cluster/protocol';
import { z } from 'zod';
import { EDGE_ID, PEER_ID, ROOM_ID } from '@plenary/cluster/ids';

export type Acknowledge = (reply: ReplyEnvelope) => void;

/** One received message; nothing of it is validated. */
export interface IncomingMessage {
  readonly name: unknown;
  readonly payloads: readonly unknown[];
  /** Absent when the client requested no acknowledgement. */
  readonly acknowledge: Acknowledge | undefined;
}

export interface ClientSocket {
  /** Random id of this connection, which is also the nonce that its client signs to resume on it. */
  readonly id: string;
  /** The client's address, as far as trusted proxies report it. */
  readonly address: string;
  isOpen(): boolean;
  notify<Name extends EdgeNoticeName>(name: Name, payload: EdgeNoticeInput<Name>): void;
  /** Receives the room's notices from now on; does nothing on a closed socket. */
  enterRoom(roomId: RoomId): void;
  leaveRoom(roomId: RoomId): void;
  /** Sends the client the reason and closes the connection; does nothing the second time. */
  bye(error: PlenaryError): void;
  /** A socket in a room may stay for ever; outside a room it counts as idle, and idle sockets are limited. */
  noteJoined(): void;
  noteLeft(): void;
  /** Charges a session and its person for frames from now on, and also for those received before. */
  payFramesFrom(budget: FrameBudget, person: string): void;
}

/** Receives the messages and the end of a socket. */
export interface SocketListener {
  onMessage(message: IncomingMessage): void;
  onClosed(reason: string): void;
}

export type AcceptSocket = (socket: ClientSocket) => SocketListener;

/** The most sessions in one message between edges. */
export const MAX_SESSIONS_NAMED = 1_000;

/** The most budgets in one message between edges. */
export const MAX_BUDGETS_NAMED = 200;
const LEVEL = z.number().int();
const REMAINING_BUDGET = z.object({
  peerId: PEER_ID,
  heldUnder: EPOCH,
  left: z.object({ work: LEVEL, mediasoup: LEVEL, store: LEVEL, bytes: LEVEL, deliveries: LEVEL }),
});
export interface RemainingBudget {
  readonly peerId: PeerId;
  /** The newest hold of the sending edge: the edge that resumed the session from there accepts the message once. */
  readonly heldUnder: Epoch;
  readonly left: Levels;
}

/** A session, and the epoch since which an edge holds it. */
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
  z.object({ type: z.literal('purses.left'), purses: z.array(REMAINING_BUDGET).max(MAX_BUDGETS_NAMED) }),
  z.object({ type: z.literal('room.lookup'), roomId: ROOM_ID, edgeId: EDGE_ID }),
]);
export type EdgeMessage =
  /** `edgeId` holds the sessions now, unless another edge resumed one later: a repeated publication ends nothing (SPEC NS6). */
  | {
      readonly type: 'sessions.attached';
      readonly sessions: readonly SessionHold[];
      readonly edgeId: EdgeId;
    }
  /** The store names `edgeId` for these sessions, which does not have them: an edge that has one writes that to the store. */
  | { readonly type: 'sessions.lookup'; readonly peerIds: readonly PeerId[]; readonly edgeId: EdgeId }
  /** The remaining budgets of sessions that another edge holds now: that edge lowers its budgets to them. */
  | { readonly type: 'purses.left'; readonly purses: readonly RemainingBudget[] }
  /** The store says that `edgeId` holds sessions of the room; `edgeId` may not know it, and checks them. */
  | { readonly type: 'room.lookup'; readonly roomId: RoomId; readonly edgeId: EdgeId };

/** Sends notices to rooms on all edges; while the store is down, only to the sockets of this edge. */
export interface RoomChannel {
  publishEvents(roomId: RoomId, events: readonly LoggedEvent[]): void;
  publish<Name extends RoomNoticeName>(roomId: RoomId, name: Name, payload: EdgeNoticeInput<Name>): void;
  /** Sends a notice to sockets of this edge only. */
  publishLocally<Name extends EdgeNoticeName>(
    roomId: RoomId,
    name: Name,
    payload: EdgeNoticeInput<Name>,
  ): void;
  tellEdges(message: EdgeMessage): void;
}
