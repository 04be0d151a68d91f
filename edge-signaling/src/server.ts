/** The only file that knows uWebSockets.js and Socket.IO: socket.io patches its adapter for the whole process. */
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
  afterTurn,
  answering,
  boundSends,
  answerOddHttp,
  answerStrayUpgrade,
  createFrameParser,
  entry,
  inBackground,
  LISTEN_SETTINGS,
  listenFault,
  PlenaryError,
  probeListening,
  SOCKET_PATH,
  tellEntryFault,
} from '@plenary/cluster';
import type { Clock, Logger } from '@plenary/cluster';
import { MAX_MESSAGE_LENGTH, MAX_PACKET_BYTES } from '@plenary/cluster/protocol';
import { createShardedAdapter } from '@socket.io/redis-adapter';
import { Server as SocketServer } from 'socket.io';
import type { ServerOptions, Socket } from 'socket.io';
import type {
  HttpResponse as UwsHttpResponse,
  RecognizedString,
  TemplatedApp,
  us_listen_socket,
  WebSocketBehavior,
} from 'uWebSockets.js';
import { normalise } from './http/client-address.ts';
import type { AddressReader } from './http/client-address.ts';
import { cluesOfNode, serveNode } from './http/node-adapter.ts';
import type { OriginCheck } from './http/origins.ts';
import { json } from './http/port.ts';
import type { AnswerListener, HttpHandler } from './http/port.ts';
import { cluesOf, headersOf, serveUws } from './http/uws-adapter.ts';
import type { UwsResponse } from './http/uws-adapter.ts';
import { ConnectGate } from './limits/connect-gate.ts';
import type { AddressLimits, CountedSocket } from './limits/address-limits.ts';
import type { FrameGuard } from './limits/frame-budgets.ts';
import { TcpGate } from './limits/tcp-gate.ts';
import type { EdgeMetrics, ReportFault } from './metrics.ts';
import type { ConnectionRefusal } from './transport/connection-refusals.ts';
import { createRoomChannel } from './transport/room-channel.ts';
import { MAX_SEND_BUFFER_BYTES } from './transport/send-buffer.ts';
import { SocketIoClient } from './transport/socket-io-client.ts';
import type { AcceptSocket, ClientSocket, EdgeMessage, RoomChannel } from './transport/client-socket.ts';
import type { PubSub } from './transport/pubsub.ts';

/** Sixteen kilobytes of cookies, which other applications of one domain may set, and what else browsers and proxies send. */
const MAX_HEADER_BYTES = 32_768;
const PING_INTERVAL_MS = 10_000;
const PING_TIMEOUT_MS = 8_000;
/** A connection that opens no namespace within this time is closed. */
const NAMESPACE_TIMEOUT_MS = 5_000;
/** Some 10 ms of work each, beside which those that are in already get on. */
const CONNECTS_PER_LATE_TURN = 24;
/** Some that join get through even then. */
const CONNECTS_PER_TURN_BEHIND = 2;
/** With turns of this length a join, which takes ten of them, is as slow as a person bears. */
const LATE_TURN_MS = 100;
/**
 * LIBUS_LISTEN_EXCLUSIVE_PORT of uWebSockets.js: without it two edges could be started on one port, and each would get a
 * part of the clients.
 */
const LISTEN_EXCLUSIVELY = 1;

export interface ServerSettings {
  readonly host: string;
  readonly port: number;
  readonly httpServer: 'uws' | 'node';
  /** Of all clients together. */
  readonly maxSockets: number;
  /** Told of each that is refused for it, with how many there are. */
  readonly onFull: (held: number) => void;
  /** New connections of one address in a second. */
  readonly connectsPerAddress: number;
  /** Whether an address speaks for many others. */
  readonly isProxy: (address: string) => boolean;
  readonly handleHttp: HttpHandler;
  readonly isOriginAllowed: OriginCheck;
  readonly readAddress: AddressReader;
  readonly addressLimits: AddressLimits;
  /** Limits the frames of a new connection. */
  readonly guardFrames: (address: string) => FrameGuard;
  readonly pubSub: PubSub;
  readonly accept: AcceptSocket;
  /** Whether nobody new is taken. */
  readonly isDraining: () => boolean;
  /** Whether clients wait so long for their turn that no more are to be let in. */
  readonly isBehind: () => boolean;
  /** Why nobody can be served here who can be on another edge. */
  readonly whyElsewhere: () => ConnectionRefusal | undefined;
  readonly onEdgeMessage: (message: EdgeMessage) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

export interface EdgeServer {
  readonly channel: RoomChannel;
  /** @throws Error when the port cannot be listened on */
  listen(): Promise<void>;
  /** Takes no more connections; those that are open stay. */
  stopListening(): void;
  /** Everybody who is connected. */
  clients(): readonly ClientSocket[];
  /** Says the same last word to all clients and closes their connections. */
  byeToAll(error: PlenaryError): void;
  close(): void;
}

/** Counts connections that are no sockets of clients, from the accepting on. */
interface Door {
  /** Whether a connection may stay; then its end is to be told. */
  admit(remoteAddress: string): boolean;
  /** One that was let in closed, or became a socket. */
  ended(): void;
  /** One of this address became a socket, or is answered; then it is told whether it is to close. */
  served: AnswerListener;
}

type Decide = (refusal: string | null | undefined, isAllowed: boolean) => void;

interface Carrier {
  readonly kind: 'uws' | 'node';
  listen(): Promise<void>;
  stopListening(): void;
  close(): void;
}

/** Makes the server, on uWebSockets.js where it can be loaded, else on Node's own. */
export async function createEdgeServer(settings: ServerSettings): Promise<EdgeServer> {
  const { pubSub, clock, logger, metrics, reportFault } = settings;
  let isStopping = false;
  const clients = new Set<SocketIoClient>();
  const connectGate = new ConnectGate({
    atOnce: CONNECTS_PER_LATE_TURN,
    atOnceBehind: CONNECTS_PER_TURN_BEHIND,
    isBehind: settings.isBehind,
    lateMs: LATE_TURN_MS,
    clock,
    afterTurn,
  });
  const options: Partial<ServerOptions> = {
    transports: ['websocket'],
    allowUpgrades: false,
    serveClient: false,
    perMessageDeflate: false,
    maxHttpBufferSize: MAX_PACKET_BYTES,
    parser: createFrameParser({
      reads: 'requests',
      maxLength: MAX_MESSAGE_LENGTH,
      onRefused: (reason) => metrics.refusedFrames.inc({ reason }),
    }),
    pingInterval: PING_INTERVAL_MS,
    pingTimeout: PING_TIMEOUT_MS,
    connectTimeout: NAMESPACE_TIMEOUT_MS,
    adapter: createShardedAdapter(pubSub.publisher, pubSub.subscriber, {
      channelPrefix: pubSub.channelPrefix,
      subscriptionMode: 'dynamic',
    }),
    allowRequest: entry('socket', (request: IncomingMessage, decide: Decide) => {
      let refusal: ConnectionRefusal | undefined = 'internal';
      try {
        const isGoing = isStopping || settings.isDraining();
        // Whoever has one keeps it, and can resume elsewhere; a file limit that is reached would refuse the store as well.
        const elsewhere = settings.whyElsewhere();
        if (isGoing) refusal = 'shutting_down';
        else if (elsewhere !== undefined) refusal = elsewhere;
        else if (io.engine.clientsCount >= settings.maxSockets) {
          refusal = 'full';
          settings.onFull(io.engine.clientsCount);
        } else refusal = judgeConnection(request, connectGate, settings);
      } catch (fault) {
        tellEntryFault('socket', fault);
      }
      if (refusal !== undefined) metrics.refusedConnections.inc({ reason: refusal });
      decide(refusal ?? null, refusal === undefined);
    }),
  };
  const io = new SocketServer(options);
  const tcpGate = new TcpGate({
    maxSockets: settings.maxSockets,
    connectsPerSecond: settings.connectsPerAddress,
    clock,
  });
  const door: Door = {
    admit: (remoteAddress) => {
      const address = normalise(remoteAddress);
      const sockets = io.engine.clientsCount;
      const verdict = tcpGate.judge(settings.isProxy(address) ? undefined : address, sockets);
      if (verdict === 'allowed') return true;
      metrics.refusedConnections.inc({ reason: verdict });
      if (verdict === 'connections_full') settings.onFull(sockets);
      return false;
    },
    ended: () => tcpGate.ended(),
    served: (remoteAddress, connection) => {
      tcpGate.served(normalise(remoteAddress), connection);
      return tcpGate.isCrowded() ? 'closes' : 'stays';
    },
  };
  const guards = new WeakMap<object, FrameGuard>();
  const carrier = (await attachUws(io, door, guards, settings)) ?? attachNode(io, door, settings);
  logger.info({ server: carrier.kind }, 'the server is made');
  metrics.server.set({ server: carrier.kind }, 1);

  const counted = new WeakMap<object, CountedSocket>();
  const byConnection = new WeakMap<object, SocketIoClient>();
  io.engine.on(
    'connection',
    entry('socket', (connection: Socket['conn']) => {
      const address = addressOf(connection.request, settings.readAddress);
      const count = settings.addressLimits.opened(address);
      counted.set(connection, count);
      const guard = settings.guardFrames(address);
      guards.set(connection.transport, guard);
      if (carrier.kind === 'node') boundSendBuffer(connection, guard, () => metrics.slowSockets.inc());
      connection.on(
        'packet',
        entry('socket', (packet: { readonly data?: string | Buffer }) => {
          const { data = '' } = packet;
          const isText = typeof data === 'string';
          const verdict = guard.onPacket(data);
          if (verdict === 'allowed' && isText) return;
          const fault =
            verdict === 'allowed'
              ? new PlenaryError('malformed_message', 'Binary frame.')
              : new PlenaryError(verdict);
          const client = byConnection.get(connection);
          if (client === undefined) connection.close();
          else client.bye(fault);
        }),
      );
      connection.on(
        'close',
        entry('socket', () => count.closed()),
      );
    }),
  );
  io.on(
    'connection',
    entry('socket', (socket) => {
      const client = new SocketIoClient(socket, {
        address: addressOf(socket.request, settings.readAddress),
        count: counted.get(socket.conn),
        frames: guards.get(socket.conn.transport),
        metrics,
      });
      byConnection.set(socket.conn, client);
      clients.add(client);
      metrics.sockets.set(clients.size);
      client.serve(settings.accept(client), {
        onClosed: () => {
          clients.delete(client);
          metrics.sockets.set(clients.size);
        },
        reportFault,
      });
    }),
  );

  return {
    channel: createRoomChannel(io, settings.onEdgeMessage, reportFault),
    listen: async () => carrier.listen(),
    stopListening: () => {
      isStopping = true;
      carrier.stopListening();
    },
    clients: () => [...clients],
    byeToAll: (error) => {
      for (const client of [...clients]) client.bye(error);
    },
    close: () => {
      // Without `local` the adapter would carry this to every edge, and end every meeting's connections.
      io.local.disconnectSockets(true);
      carrier.close();
    },
  };
}

/** @returns why the connection is refused, or `undefined` */
function judgeConnection(
  request: IncomingMessage,
  connectGate: ConnectGate,
  settings: ServerSettings,
): ConnectionRefusal | undefined {
  if (!settings.isOriginAllowed(request.headers.origin)) return 'origin';
  // Before the address is charged for it: it is the edge that is too slow, not the client too fast.
  if (!connectGate.admit()) return 'busy';
  const verdict = settings.addressLimits.judgeConnect(addressOf(request, settings.readAddress));
  return verdict === 'allowed' ? undefined : verdict;
}

/** Where each request for a socket comes from: a request of uWebSockets.js can be asked only before its handler returns. */
const addresses = new WeakMap<object, string>();

function addressOf(request: IncomingMessage, readAddress: AddressReader): string {
  const known = addresses.get(request);
  if (known !== undefined) return known;
  const address = readAddress(cluesOfNode(request));
  addresses.set(request, address);
  return address;
}

/** Socket.IO's path is for WebSockets: no long polling, and nothing that names a connection of somebody's. */
const onlyWebSocket: HttpHandler = () => json(400, { code: 0, message: 'Only WebSocket is spoken here.' });

async function attachUws(
  io: SocketServer,
  door: Door,
  guards: FrameGuards,
  settings: ServerSettings,
): Promise<Carrier | undefined> {
  const { host, port, logger, metrics, handleHttp, readAddress } = settings;
  if (settings.httpServer === 'node') return undefined;
  let uws: typeof import('uWebSockets.js');
  // Read when the library is loaded; without it 4 KiB is all, and one session cookie of another application is too much.
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= String(MAX_HEADER_BYTES);
  try {
    uws = await import('uWebSockets.js');
  } catch (fault) {
    logger.warn(
      { err: fault },
      'uWebSockets.js cannot be loaded here: Node’s own server carries the sockets',
    );
    return undefined;
  }
  const app = uws.App();
  guardConnections(app, door);
  guardSockets(app, { readAddress, door, guards, onSlow: () => metrics.slowSockets.inc() });
  guardPath(app, readAddress, door.served);
  io.attachApp(app);
  app.any('/*', serveUws(handleHttp, readAddress, door.served));
  let listening: us_listen_socket | undefined;
  const stopListening = (): void => {
    if (listening !== undefined) uws.us_listen_socket_close(listening);
    listening = undefined;
  };
  return {
    kind: 'uws',
    listen: async () =>
      new Promise((resolve, reject) => {
        const onListening = (token: us_listen_socket | false): void => {
          if (token === false) return inBackground(async () => reject(await whyNotListening(port, host)));
          listening = token;
          return resolve();
        };
        // Its types know no options together with a host, its code does.
        Reflect.apply(app.listen, app, [host, port, LISTEN_EXCLUSIVELY, onListening]);
      }),
    stopListening,
    close: () => {
      stopListening();
      app.close();
    },
  };
}

/** uWebSockets.js says no more than that it could not. */
async function whyNotListening(port: number, host: string): Promise<Error> {
  const error = await probeListening(port, host);
  if (error !== undefined) return new Error(listenFault(LISTEN_SETTINGS, port, host, error));
  return new Error(
    `${LISTEN_SETTINGS.port} ${port} on ${host}: could not be listened on just now; try again`,
  );
}

/**
 * Answers what comes to Socket.IO's path and is no WebSocket, in Socket.IO's place: it would leave a request that names a
 * connection without an answer.
 */
function guardPath(app: TemplatedApp, readAddress: AddressReader, onAnswer: AnswerListener): void {
  const serve = app.any.bind(app);
  app.any = (pattern, handler) =>
    serve(pattern, pattern === SOCKET_PATH ? serveUws(onlyWebSocket, readAddress, onAnswer) : handler);
}

/** What is used of a connection of uWebSockets.js. */
type UwsConnection = Pick<UwsResponse, 'getRemoteAddressAsText' | 'close'>;

/** What the library tells of connections: each that is accepted, and each that closes and did not become a WebSocket. */
function guardConnections(app: TemplatedApp, door: Door): void {
  let isRefusing = false;
  app.filter(
    entry('socket', (response: UwsConnection, change: unknown) => {
      // The end of one that is refused is told while it is being closed.
      if (isRefusing) return;
      if (Number(change) < 0) {
        door.ended();
        return;
      }
      if (door.admit(new TextDecoder().decode(response.getRemoteAddressAsText()))) return;
      isRefusing = true;
      response.close();
      isRefusing = false;
    }),
  );
}

/** Each connection's, by its transport, which both Engine.IO and uWebSockets.js know. */
type FrameGuards = Pick<WeakMap<object, FrameGuard>, 'get'>;

/** What Engine.IO notes on a socket of uWebSockets.js. */
function transportOf(data: unknown): object | undefined {
  if (typeof data !== 'object' || data === null || !('transport' in data)) return undefined;
  const { transport } = data;
  return typeof transport === 'object' && transport !== null ? transport : undefined;
}

/** What is used of a socket of uWebSockets.js to count its frames. */
interface UwsSocket {
  getUserData(): unknown;
  close(): unknown;
}

interface SocketGuards {
  readonly readAddress: AddressReader;
  readonly door: Door;
  readonly guards: FrameGuards;
  readonly onSlow: () => void;
}

/**
 * Notes where a socket comes from before Socket.IO hears of it, refuses to take up a connection that is open already, and
 * bounds pings and pongs, which the library takes and nobody else sees (SPEC RL2). Also
 * has uWebSockets.js close a connection whose client does not read, where Socket.IO leaves it to drop messages without a
 * word: the client resumes by the log and misses nothing (SPEC RL7).
 */
function guardSockets(app: TemplatedApp, { readAddress, door, guards, onSlow }: SocketGuards): void {
  const serve = app.ws.bind(app);
  const countFrame = entry('socket', (socket: UwsSocket) => {
    const transport = transportOf(socket.getUserData());
    const verdict = transport && guards.get(transport)?.onFrame(1);
    if (verdict !== 'allowed') socket.close();
  });
  const cutOff = new WeakSet<object>();
  app.ws = <UserData>(pattern: RecognizedString, behaviour: WebSocketBehavior<UserData>) =>
    serve<UserData>(pattern, {
      ...behaviour,
      maxBackpressure: MAX_SEND_BUFFER_BYTES,
      closeOnBackpressureLimit: true,
      upgrade: (response, request, context) => {
        try {
          addresses.set(request, readAddress(cluesOf(response, headersOf(request))));
          closeWithAnswer(response);
          // Without polling there is nothing to upgrade from.
          if (request.getQuery('sid') !== undefined) response.writeStatus('400 Bad Request').end();
          else inBackground(() => behaviour.upgrade?.(response, request, context));
        } catch (fault) {
          tellEntryFault('socket', fault);
          response.close();
        }
      },
      open: entry('socket', (socket) => {
        door.ended();
        door.served(new TextDecoder().decode(socket.getRemoteAddressAsText()));
        return behaviour.open?.(socket);
      }),
      ping: countFrame,
      pong: countFrame,
      dropped: entry('socket', (socket) => {
        // It may be told of several messages before it is closed.
        if (!cutOff.has(socket)) onSlow();
        cutOff.add(socket);
      }),
    });
}

/**
 * A handshake that is refused ends its connection: the library keeps what a client does not read, and would take the next
 * handshake on the same connection all the same (SPEC RL8).
 */
function closeWithAnswer(response: Pick<UwsHttpResponse, 'end'>): void {
  const end = response.end.bind(response);
  response.end = (body) => end(body, true);
}

/** What is used of the `ws` behind a connection on Node's own server. */
interface WebSocketOfNode {
  on(event: 'ping' | 'pong', listener: () => void): unknown;
}

/** The same on Node's own server, where nothing bounds what waits. */
function boundSendBuffer(connection: Socket['conn'], frames: FrameGuard, onSlow: () => void): void {
  const carried: { readonly headers: unknown; readonly websocket?: WebSocketOfNode } = connection.request;
  const countFrame = entry('socket', () => {
    // A ping is answered by the library, also for a client that does not read.
    const isBehind = connection.request.socket.writableLength > MAX_SEND_BUFFER_BYTES;
    if (isBehind || frames.onFrame(1) !== 'allowed') connection.request.socket.destroy();
  });
  carried.websocket?.on('ping', countFrame);
  carried.websocket?.on('pong', countFrame);
  boundSends(connection, MAX_SEND_BUFFER_BYTES, onSlow);
}

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

type RequestListener = ReturnType<typeof serveNode>;

/** As {@link guardPath} and {@link guardSockets}: puts itself before the listeners of Socket.IO. */
function guardNode(server: HttpServer, serve: RequestListener, serveSocketPath: RequestListener): void {
  server.removeAllListeners('request');
  server.on(
    'request',
    entry('http', (incoming: IncomingMessage, outgoing: ServerResponse) => {
      (incoming.url?.startsWith(SOCKET_PATH) === true ? serveSocketPath : serve)(incoming, outgoing);
    }),
  );
  const upgrade = server.listeners('upgrade');
  server.removeAllListeners('upgrade');
  server.on(
    'upgrade',
    entry('http', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (answerStrayUpgrade(incoming, socket)) return;
      if (/[?&]sid=/.test(incoming.url ?? ''))
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      else for (const listener of upgrade) Reflect.apply(listener, server, [incoming, socket, head]);
    }),
  );
}

function attachNode(io: SocketServer, door: Door, settings: ServerSettings): Carrier {
  const { host, port, handleHttp, readAddress, logger } = settings;
  const server = createServer(HTTP_OPTIONS);
  answerOddHttp(server);
  io.attach(server);
  const sockets = new Set<NetSocket>();
  const onAcceptFault = entry('socket', (fault: unknown) => {
    logger.warn({ err: fault }, 'a connection could not be accepted');
  });
  server.on(
    'connection',
    entry('socket', (socket: NetSocket) => {
      if (!door.admit(socket.remoteAddress ?? '')) {
        socket.destroy();
        return;
      }
      socket.once(
        'close',
        entry('socket', () => {
          if (!sockets.delete(socket)) door.ended();
        }),
      );
    }),
  );
  io.engine.on(
    'connection',
    entry('socket', (connection: Socket['conn']) => {
      const { socket } = connection.request;
      sockets.add(socket);
      door.ended();
      door.served(socket.remoteAddress ?? '', socket);
    }),
  );
  guardNode(
    server,
    serveNode(handleHttp, readAddress, door.served),
    serveNode(onlyWebSocket, readAddress, door.served),
  );
  return {
    kind: 'node',
    listen: async () =>
      new Promise((resolve, reject) => {
        const fail = entry('http', (error: NodeJS.ErrnoException) =>
          reject(new Error(listenFault(LISTEN_SETTINGS, port, host, error))),
        );
        server.once('error', fail);
        server.listen(
          port,
          host,
          entry('http', () => {
            // Without a listener one that cannot be accepted, for want of memory or files, would end the process.
            server.on('error', onAcceptFault);
            server.off('error', fail);
            resolve();
          }),
        );
      }),
    stopListening: () => {
      server.close();
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
