import { guardCallback } from '@plenary/cluster';
import { EDGE_MESSAGE } from './client-socket.ts';
import type { EdgeMessage, RoomChannel } from './client-socket.ts';
import type { ReportFault } from '../metrics.ts';
import { EDGE_MESSAGE_NAME, socketRoomOf } from './publication.ts';

interface Emitter {
  emit(name: string, payload: unknown): boolean;
}

/** The part of a Socket.IO server that the channel uses. */
export interface RoomServer {
  to(room: string): Emitter;
  readonly local: { to(room: string): Emitter };
  readonly volatile: { to(room: string): Emitter };
  serverSideEmit(name: string, message: unknown): boolean;
  on(name: string, listener: (message: unknown) => void): unknown;
}

/** Passes the messages of other edges to a listener; reports malformed ones. */
export function receiveEdgeMessages(
  io: Pick<RoomServer, 'on'>,
  onEdgeMessage: (message: EdgeMessage) => void,
  reportFault: ReportFault,
): void {
  io.on(
    EDGE_MESSAGE_NAME,
    guardCallback('pubsub', (message) => {
      const parsed = EDGE_MESSAGE.safeParse(message);
      if (parsed.success) onEdgeMessage(parsed.data);
      else reportFault('adapter', parsed.error);
    }),
  );
}

/** Rooms over the Socket.IO server and its adapter. */
export function createRoomChannel(io: Omit<RoomServer, 'on'>): RoomChannel {
  return {
    publishEvents: (roomId, events) => {
      for (const event of events) io.to(socketRoomOf(roomId)).emit('event', event);
    },
    publish: (roomId, name, payload) => {
      // The next notice of speakers follows within a moment, so this one does not wait for a slow client.
      const server = name === 'speakers' ? io.volatile : io;
      server.to(socketRoomOf(roomId)).emit(name, payload);
    },
    publishLocally: (roomId, name, payload) => {
      io.local.to(socketRoomOf(roomId)).emit(name, payload);
    },
    tellEdges: (message) => {
      io.serverSideEmit(EDGE_MESSAGE_NAME, message);
    },
  };
}
