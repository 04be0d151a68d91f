import { createServer } from 'node:http';
import type {
  IncomingMessage,
  Server as HttpServer,
  ServerOptions as HttpOptions,
  ServerResponse,
} from 'node:http';
import type { Socket as NetSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  answering,
  answerOddHttp,
  answerStrayUpgrade,
  guardCallback,
  LISTEN_SETTINGS,
  listenFault,
  SOCKET_PATH,
} from '@plenary/cluster';
import type { Logger } from '@plenary/cluster';
import type { Socket, Server as SocketServer } from 'socket.io';
import { serveNode } from '../http/node-adapter.ts';
import type { AcceptGate } from './accept-gate.ts';
import { boundOnNode } from './backpressure.ts';
import { MAX_HEADER_BYTES, onlyWebSocket } from './carrier.ts';
import type { Carrier, CarrierSettings } from './carrier.ts';

const HTTP_OPTIONS: HttpOptions = {
  maxHeaderSize: MAX_HEADER_BYTES,
  // A health check of HTTP/1.1 without `Host` is answered as well.
  requireHostHeader: false,
  // Whoever sends half a request holds a socket no longer than this.
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  connectionsCheckingInterval: 2_000,
  // A request to change to HTTP/2, as curl may send it, is served as it is.
  shouldUpgradeCallback: answering(
    'http',
    false,
    ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket',
  ),
};

/** Carries Socket.IO and HTTP on Node's own server. */
export function attachNode(settings: CarrierSettings): Carrier {
  const { io, host, port, handleHttp, readAddress, logger, acceptGate, slowClients, allowRequest } = settings;
  const server = createServer(HTTP_OPTIONS);
  answerOddHttp(server);
  io.attach(server, { allowRequest });
  guardConnections(server, io, acceptGate);
  guardRequests(
    server,
    serveNode(handleHttp, readAddress, acceptGate.served),
    serveNode(onlyWebSocket, readAddress, acceptGate.served),
  );
  return {
    kind: 'node',
    listen: async () => listen(server, host, port, logger),
    stopListening: () => {
      server.close();
    },
    bound: (connection, frames) => boundOnNode(connection, frames, slowClients),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Passes on each connection that is accepted, becomes a socket of a client, or closes before that. */
function guardConnections(server: HttpServer, io: SocketServer, acceptGate: AcceptGate): void {
  const sockets = new Set<NetSocket>();
  server.on(
    'connection',
    guardCallback('socket', (socket: NetSocket) => {
      if (!acceptGate.admit(socket.remoteAddress ?? '')) {
        socket.destroy();
        return;
      }
      socket.once(
        'close',
        guardCallback('socket', () => {
          if (!sockets.delete(socket)) acceptGate.ended();
        }),
      );
    }),
  );
  io.engine.on(
    'connection',
    guardCallback('socket', (connection: Socket['conn']) => {
      const { socket } = connection.request;
      sockets.add(socket);
      acceptGate.ended();
      acceptGate.served(socket.remoteAddress ?? '', socket);
    }),
  );
}

type RequestListener = ReturnType<typeof serveNode>;

/** Puts itself before Socket.IO's listeners: it gets WebSockets only, and none that names a connection that is open already. */
function guardRequests(server: HttpServer, serve: RequestListener, serveSocketPath: RequestListener): void {
  server.removeAllListeners('request');
  server.on(
    'request',
    guardCallback('http', (incoming: IncomingMessage, outgoing: ServerResponse) => {
      (incoming.url?.startsWith(SOCKET_PATH) === true ? serveSocketPath : serve)(incoming, outgoing);
    }),
  );
  const upgrade = server.listeners('upgrade');
  server.removeAllListeners('upgrade');
  server.on(
    'upgrade',
    guardCallback('http', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (answerStrayUpgrade(incoming, socket)) return;
      if (/[?&]sid=/.test(incoming.url ?? ''))
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      else for (const listener of upgrade) Reflect.apply(listener, server, [incoming, socket, head]);
    }),
  );
}

/** @throws Error that names the setting, when the port cannot be listened on */
function listen(server: HttpServer, host: string, port: number, logger: Logger): Promise<void> {
  const onAcceptFault = guardCallback('socket', (fault: unknown) => {
    logger.warn({ err: fault }, 'connection not accepted by the HTTP server');
  });
  return new Promise((resolve, reject) => {
    const fail = guardCallback('http', (error: NodeJS.ErrnoException) =>
      reject(new Error(listenFault(LISTEN_SETTINGS, port, host, error))),
    );
    server.once('error', fail);
    server.listen(
      port,
      host,
      guardCallback('http', () => {
        // Without a listener one that cannot be accepted, for want of memory or files, would end the process.
        server.on('error', onAcceptFault);
        server.off('error', fail);
        resolve();
      }),
    );
  });
}
