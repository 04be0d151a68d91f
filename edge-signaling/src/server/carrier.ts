import type { Logger } from '@plenary/cluster';
import type { ServerOptions, Socket, Server as SocketServer } from 'socket.io';
import type { AddressReader } from '../http/client-address.ts';
import { json } from '../http/port.ts';
import type { HttpHandler } from '../http/port.ts';
import type { FrameGuard } from '../limits/frame-budgets.ts';
import type { AcceptGate } from './accept-gate.ts';
import type { SlowClients } from './backpressure.ts';
import type { FrameGuards } from './frame-flood.ts';
import type { RequestAddresses } from './request-addresses.ts';

/** Sixteen kilobytes of cookies, which other applications of one domain may set, and what else browsers and proxies send. */
export const MAX_HEADER_BYTES = 32_768;

/** What listens and carries HTTP and WebSockets: uWebSockets.js where it can be loaded, else Node's own server. */
export interface Carrier {
  readonly kind: 'uws' | 'node';
  /** @throws Error when the port cannot be listened on */
  listen(): Promise<void>;
  stopListening(): void;
  /** Bounds what waits for a client on a new connection, where the carrier does not do so by itself. */
  bound(connection: Socket['conn'], frames: FrameGuard): void;
  close(): void;
}

/** What a carrier needs: whom it serves, and who decides about connections, frames and slow clients. */
export interface CarrierSettings {
  readonly host: string;
  readonly port: number;
  readonly io: SocketServer;
  /** Judges each handshake. */
  readonly allowRequest: NonNullable<ServerOptions['allowRequest']>;
  readonly handleHttp: HttpHandler;
  readonly readAddress: AddressReader;
  readonly addresses: RequestAddresses;
  readonly acceptGate: AcceptGate;
  readonly frameGuards: FrameGuards;
  readonly slowClients: SlowClients;
  readonly logger: Logger;
}

/** Socket.IO's path is for WebSockets: no long polling, and no request may name a connection that is open already. */
export const onlyWebSocket: HttpHandler = () =>
  json(400, { code: 0, message: 'Only WebSocket is spoken here.' });
