import { createFrameParser } from '@plenary/cluster/frames';
import { io } from 'socket.io-client';
import type { SignallingConnection, SignallingHandlers, SignallingPort } from './signalling-port.ts';

/** Longest accepted message of an edge, in UTF-16 units: twice the longest catch-up. */
const MAX_ANSWER_LENGTH = 8_388_608;
const parser = createFrameParser({ reads: 'answers', maxLength: MAX_ANSWER_LENGTH });

/** The local end of connections, which only a program outside a browser can choose. */
export interface SocketOrigin {
  /** An address of this machine. */
  readonly localAddress?: string;
}

/**
 * Socket.IO over WebSocket only, so that no sticky sessions are needed. Its own reconnection is off: the client decides which edge comes
 * next and how long to wait, and `resume` must be the first request of the new connection.
 */
export function createSocketSignalling(from: SocketOrigin = {}): SignallingPort {
  return {
    open(url: string, handlers: SignallingHandlers, timeoutMs: number): SignallingConnection {
      const socket = io(url, {
        transports: ['websocket'],
        reconnection: false,
        forceNew: true,
        timeout: timeoutMs,
        // The client sends `leave` itself on pagehide; Socket.IO's own unload handler would cut it off.
        closeOnBeforeunload: false,
        parser,
        ...from,
      });
      let ended = false;
      const end = (reason: string): void => {
        if (ended) return;
        ended = true;
        socket.removeAllListeners();
        socket.offAny();
        socket.close();
        handlers.closed(reason);
      };
      socket.on('connect', () => {
        handlers.opened(socket.id ?? '');
      });
      socket.on('connect_error', (error: Error) => {
        end(`connect_error: ${error.message}`);
      });
      socket.on('disconnect', (reason: string) => {
        end(reason);
      });
      socket.onAny((name: string, payload: unknown) => {
        handlers.notice(name, payload);
      });
      return {
        send(name, payload, acknowledged) {
          // Socket.IO would queue messages of a closed socket, and their session may be over when they are sent.
          if (socket.connected) socket.emit(name, payload, acknowledged);
        },
        close() {
          ended = true;
          socket.removeAllListeners();
          socket.offAny();
          socket.close();
        },
      };
    },
  };
}

export const socketSignalling: SignallingPort = createSocketSignalling();
