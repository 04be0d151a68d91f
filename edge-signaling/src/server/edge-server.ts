/** The only file that opens a Socket.IO server: socket.io patches its adapter for the whole process. */
import type { IncomingMessage } from 'node:http';
import { createFrameParser, guardCallback } from '@plenary/cluster';
import type { Clock, Logger, PlenaryError } from '@plenary/cluster';
import { MAX_MESSAGE_LENGTH, MAX_PACKET_BYTES } from '@plenary/cluster/protocol';
import { createShardedAdapter } from '@socket.io/redis-adapter';
import { Server as SocketServer } from 'socket.io';
import type { ServerOptions, Socket } from 'socket.io';
import type { AddressReader } from '../http/client-address.ts';
import type { OriginCheck } from '../http/origins.ts';
import type { HttpHandler } from '../http/port.ts';
import type { AddressLimits, CountedSocket } from '../limits/address-limits.ts';
import type { FrameGuard } from '../limits/frame-budgets.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { AcceptSocket, ClientSocket, EdgeMessage, RoomChannel } from '../transport/client-socket.ts';
import type { ConnectionRefusal } from '../transport/connection-refusals.ts';
import type { PubSub } from '../transport/pubsub.ts';
import { createRoomChannel } from '../transport/room-channel.ts';
import { SocketIoClient } from '../transport/socket-io-client.ts';
import { AcceptGate } from './accept-gate.ts';
import { SlowClients } from './backpressure.ts';
import type { Carrier, CarrierSettings } from './carrier.ts';
import { faultOfFrame, FrameGuards } from './frame-flood.ts';
import { HandshakeGate } from './handshake-gate.ts';
import { attachNode } from './node-carrier.ts';
import { OpenClients } from './open-clients.ts';
import { RequestAddresses } from './request-addresses.ts';
import { attachUws } from './uws-carrier.ts';

const PING_INTERVAL_MS = 10_000;
const PING_TIMEOUT_MS = 8_000;
/** A connection that opens no namespace within this time is closed. */
const NAMESPACE_TIMEOUT_MS = 5_000;

export interface ServerSettings {
  readonly host: string;
  readonly port: number;
  readonly httpServer: Carrier['kind'];
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
  /** Tells all clients the same reason and closes their connections. */
  byeToAll(error: PlenaryError): void;
  close(): void;
}

type Decide = (refusal: string | null | undefined, isAllowed: boolean) => void;

/**
 * Puts the server of clients together, on uWebSockets.js where it can be loaded, else on Node's own. A connection passes
 * {@link AcceptGate} when it is accepted and {@link HandshakeGate} at its handshake; its frames pass {@link FrameGuards};
 * a client that does not read is ended as `backpressure.ts` says; {@link OpenClients} holds those who are in.
 */
export async function createEdgeServer(settings: ServerSettings): Promise<EdgeServer> {
  const { readAddress, addressLimits, logger, metrics, reportFault } = settings;
  const io = new SocketServer(socketOptions(settings));
  const openSockets = (): number => io.engine.clientsCount;
  const addresses = new RequestAddresses(readAddress);
  const acceptGate = new AcceptGate({ ...settings, openSockets });
  const handshakeGate = new HandshakeGate({ ...settings, openSockets, addresses });
  const frameGuards = new FrameGuards(settings.guardFrames);
  const slowClients = new SlowClients(() => metrics.slowSockets.inc());
  const clients = new OpenClients(settings);
  const carrier = await openCarrier(settings.httpServer, {
    ...settings,
    io,
    allowRequest: guardCallback('socket', (request: IncomingMessage, decide: Decide) => {
      const refusal = handshakeGate.judge(request);
      decide(refusal ?? null, refusal === undefined);
    }),
    addresses,
    acceptGate,
    frameGuards,
    slowClients,
  });
  logger.info({ server: carrier.kind }, 'client server created');
  metrics.server.set({ server: carrier.kind }, 1);

  const counted = new WeakMap<object, CountedSocket>();
  io.engine.on(
    'connection',
    guardCallback('socket', (connection: Socket['conn']) => {
      const address = addresses.of(connection.request);
      const count = addressLimits.opened(address);
      counted.set(connection, count);
      const frames = frameGuards.opened(connection, address);
      carrier.bound(connection, frames);
      connection.on(
        'packet',
        guardCallback('socket', (packet: { readonly data?: string | Buffer }) => {
          const { data = '' } = packet;
          const fault = faultOfFrame(frames.onPacket(data), typeof data === 'string');
          if (fault !== undefined) clients.end(connection, fault);
        }),
      );
      connection.on(
        'close',
        guardCallback('socket', () => count.closed()),
      );
    }),
  );
  io.on(
    'connection',
    guardCallback('socket', (socket) => {
      const client = new SocketIoClient(socket, {
        address: addresses.of(socket.request),
        count: counted.get(socket.conn),
        frames: frameGuards.of(socket.conn.transport),
        metrics,
      });
      clients.add(client, socket.conn);
    }),
  );

  return {
    channel: createRoomChannel(io, settings.onEdgeMessage, reportFault),
    listen: async () => carrier.listen(),
    stopListening: () => {
      handshakeGate.stop();
      carrier.stopListening();
    },
    clients: () => clients.all(),
    byeToAll: (error) => clients.endAll(error),
    close: () => {
      // Without `local` the adapter would carry this to every edge, and end every meeting's connections.
      io.local.disconnectSockets(true);
      carrier.close();
    },
  };
}

async function openCarrier(kind: Carrier['kind'], settings: CarrierSettings): Promise<Carrier> {
  const uws = kind === 'uws' ? await attachUws(settings) : undefined;
  return uws ?? attachNode(settings);
}

function socketOptions({ pubSub, metrics }: ServerSettings): Partial<ServerOptions> {
  return {
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
  };
}
