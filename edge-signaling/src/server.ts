/** The only file that knows uWebSockets.js and Socket.IO: socket.io patches its adapter for the whole process. */
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createFrameParser, PlenaryError } from '@plenary/cluster';
import type { Clock, Logger } from '@plenary/cluster';
import { MAX_MESSAGE_LENGTH, MAX_PACKET_BYTES } from '@plenary/cluster/protocol';
import { createShardedAdapter } from '@socket.io/redis-adapter';
import { Server as SocketServer } from 'socket.io';
import type { ServerOptions, Socket } from 'socket.io';
import type { RecognizedString, TemplatedApp, us_listen_socket, WebSocketBehavior } from 'uWebSockets.js';
import type { AddressReader } from './http/client-address.ts';
import { serveNode } from './http/node-adapter.ts';
import type { OriginCheck } from './http/origins.ts';
import type { HttpHandler } from './http/port.ts';
import { serveUws } from './http/uws-adapter.ts';
import { ConnectGate } from './limits/connect-gate.ts';
import type { AddressLimits, CountedSocket } from './limits/address-limits.ts';
import { FrameGuard } from './limits/flood-guard.ts';
import type { EdgeMetrics, ReportFault } from './metrics.ts';
import { createRoomChannel } from './transport/room-channel.ts';
import { MAX_SEND_BUFFER_BYTES, SendGuard } from './transport/send-guard.ts';
import { SocketIoClient } from './transport/socket-io-client.ts';
import type { AcceptSocket, ClientSocket, EdgeMessage, RoomChannel } from './transport/client-socket.ts';
import type { PubSub } from './transport/pubsub.ts';

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
  readonly handleHttp: HttpHandler;
  readonly isOriginAllowed: OriginCheck;
  readonly readAddress: AddressReader;
  readonly addressLimits: AddressLimits;
  readonly pubSub: PubSub;
  /** What the channels begin with. */
  readonly channelPrefix: string;
  readonly accept: AcceptSocket;
  /** Whether nobody new is taken. */
  readonly isDraining: () => boolean;
  /** Whether clients wait so long for their turn that no more are to be let in. */
  readonly isBehind: () => boolean;
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
    afterTurn: (callback) => setImmediate(callback),
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
      channelPrefix: settings.channelPrefix,
      subscriptionMode: 'dynamic',
    }),
    allowRequest: (request, decide) => {
      const isGoing = isStopping || settings.isDraining();
      const refusal = isGoing ? 'shutting_down' : judgeConnection(request, connectGate, settings);
      if (refusal !== undefined) metrics.refusedConnections.inc({ reason: refusal });
      decide(refusal ?? null, refusal === undefined);
    },
  };
  const io = new SocketServer(options);
  const carrier = (await attachUws(io, settings)) ?? attachNode(io, settings);
  logger.info({ server: carrier.kind }, 'the server is made');
  metrics.server.set({ server: carrier.kind }, 1);

  const counted = new WeakMap<object, CountedSocket>();
  const byConnection = new WeakMap<object, SocketIoClient>();
  io.engine.on('connection', (connection: Socket['conn']) => {
    const address = addressOf(connection.request, settings.readAddress);
    const count = settings.addressLimits.opened(address);
    counted.set(connection, count);
    if (carrier.kind === 'node') boundSendBuffer(connection, () => metrics.slowSockets.inc());
    const guard = new FrameGuard(clock);
    connection.on('packet', (packet: { readonly data?: string | Buffer }) => {
      const { data = '' } = packet;
      const isText = typeof data === 'string';
      if (guard.onFrame(isText ? data.length : data.byteLength) && isText) return;
      const fault = isText
        ? new PlenaryError('flooding')
        : new PlenaryError('malformed_message', 'Binary frame.');
      const client = byConnection.get(connection);
      if (client === undefined) connection.close();
      else client.bye(fault);
    });
    connection.on('close', () => count.closed());
  });
  io.on('connection', (socket) => {
    const client = new SocketIoClient(socket, {
      address: addressOf(socket.request, settings.readAddress),
      count: counted.get(socket.conn),
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
  });

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
): string | undefined {
  if (!settings.isOriginAllowed(request.headers.origin)) return 'origin';
  // Before the address is charged for it: it is the edge that is too slow, not the client too fast.
  if (!connectGate.admit()) return 'busy';
  const verdict = settings.addressLimits.judgeConnect(addressOf(request, settings.readAddress));
  return verdict === 'allowed' ? undefined : verdict;
}

/** uWebSockets.js gives no socket, only this much of one. */
function addressOf(request: IncomingMessage, readAddress: AddressReader): string {
  const carried: { readonly connection?: { readonly remoteAddress?: string } } = request;
  const forwarded = request.headers['x-forwarded-for'];
  return readAddress(carried.connection?.remoteAddress ?? '', [forwarded ?? ''].flat().join(', '));
}

async function attachUws(io: SocketServer, settings: ServerSettings): Promise<Carrier | undefined> {
  const { host, port, logger, metrics, handleHttp, readAddress } = settings;
  let uws: typeof import('uWebSockets.js');
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
  boundSendBuffers(app, () => metrics.slowSockets.inc());
  io.attachApp(app);
  app.any('/*', serveUws(handleHttp, readAddress));
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
          if (token === false)
            return reject(new Error(`Cannot listen on ${host}:${port}: is the port taken?`));
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

/**
 * Has uWebSockets.js close a connection whose client does not read, where Socket.IO leaves it to drop messages without a
 * word: the client resumes by the log and misses nothing (SPEC RL7).
 */
function boundSendBuffers(app: TemplatedApp, onSlow: () => void): void {
  const serve = app.ws.bind(app);
  const cutOff = new WeakSet<object>();
  app.ws = <UserData>(pattern: RecognizedString, behaviour: WebSocketBehavior<UserData>) =>
    serve<UserData>(pattern, {
      ...behaviour,
      maxBackpressure: MAX_SEND_BUFFER_BYTES,
      closeOnBackpressureLimit: true,
      dropped: (socket) => {
        // It may be told of several messages before it is closed.
        if (!cutOff.has(socket)) onSlow();
        cutOff.add(socket);
      },
    });
}

/** The same on Node's own server, where nothing bounds what waits. */
function boundSendBuffer(connection: Socket['conn'], onSlow: () => void): void {
  const guard = new SendGuard();
  let isCutOff = false;
  connection.on('packetCreate', ({ data = '' }: { readonly data?: string | Buffer }) => {
    if (guard.onPacket(Buffer.byteLength(data)) || isCutOff) return;
    isCutOff = true;
    onSlow();
    // At once: to close it in order would wait for what the client does not read.
    connection.request.socket.destroy();
  });
  connection.on('flush', () => guard.onFlush());
  connection.transport.on('drain', () => guard.onDrain());
}

function attachNode(io: SocketServer, settings: ServerSettings): Carrier {
  const { host, port, handleHttp, readAddress } = settings;
  const server = createServer(serveNode(handleHttp, readAddress));
  io.attach(server);
  return {
    kind: 'node',
    listen: async () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          resolve();
        });
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
