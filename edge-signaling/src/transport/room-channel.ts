import { guardCallback } from '@plenary/cluster';
import { EDGE_MESSAGE } from './client-socket.ts';
import type { EdgeMessage, RoomChannel } from './client-socket.ts';
import type { ReportFault } from '../metrics.ts';
import { EDGE_MESSAGE_NAME, socketRoomOf } from './publication.ts';

interface Emitter {
  emit(name: string, payload: unknown): boolean;
}

/** What is used of a Socket.IO server. */
export interface RoomServer {
  to(room: string): Emitter;
  readonly local: { to(room: string): Emitter };
  readonly volatile: { to(room: string): Emitter };
  serverSideEmit(name: string, message: unknown): boolean;
  on(name: string, listener: (message: unknown) => void): unknown;
}

/** Rooms over the Socket.IO server and its adapter. */
export function createRoomChannel(
  io: RoomServer,
  onEdgeMessage: (message: EdgeMessage) => void,
  reportFault: ReportFault,
): RoomChannel {
  io.on(
    EDGE_MESSAGE_NAME,
    guardCallback('pubsub', (message) => {
      const parsed = EDGE_MESSAGE.safeParse(message);
      if (parsed.success) onEdgeMessage(parsed.data);
      else reportFault('adapter', parsed.error);
    }),
  );
  return {
    publishEvents: (roomId, events) => {
      for (const event of events) io.to(socketRoomOf(roomId)).emit('event', event);
    },
    publish: (roomId, name, payload) => {
      // Who is heard is told again within a moment: not worth waiting for a slow client.
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
