import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import { guardCallback, every } from './guarded-callbacks.ts';
import { answerStrayUpgrade } from './odd-http.ts';

/** The reasons for which the guard closes a connection: a closed set, since it is a label of metrics. */
export type PortRefusal = 'address' | 'crowd' | 'late' | 'long';

/** The parts of a connection that the guard uses. */
export interface GuardedSocket {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly bytesRead: number;
  destroy(): unknown;
  on(event: 'data', listener: () => void): unknown;
  off(event: 'data', listener: () => void): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** The parts of a connection's first request that the guard uses. */
interface GuardedRequest {
  readonly socket: GuardedSocket;
}

export interface PortGuardSettings {
  /** The largest number of connections without a proof, in all and from one address. */
  readonly maxUnproven: number;
  readonly maxPerAddress: number;
  /** Which connection is closed if an address has too many: the oldest if many hosts may share one address. */
  readonly closesOfAddress: 'newest' | 'oldest';
  /** The time and the bytes that a WebSocket has for its proof. */
  readonly withinMs: number;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly onRefused: (why: PortRefusal) => void;
}

/** The limits of a control port. */
export const PORT_GUARD_LIMITS = {
  maxUnproven: 1_024,
  maxPerAddress: 128,
  closesOfAddress: 'newest',
  withinMs: 10_000,
  maxBytes: 16_384,
} as const;
/** A TLS handshake takes three round trips at most, but Node waits for two minutes by default. */
export const TLS_HANDSHAKE_MS = 5_000;

const CLOSE_LATE_MS = 1_000;

interface Unproven {
  readonly address: string;
  /** When it became a WebSocket; before that Node's own time limits for requests apply. */
  upgradedAtMs: number | undefined;
}

/**
 * Bounds what strangers can occupy of the control port (SPEC EN11): connections without a proof, in number, in time
 * and in bytes. If there are too many, the one that has waited longest is closed, because a process of the cluster
 * proves itself within a moment.
 */
export class PortGate {
  readonly #settings: PortGuardSettings;
  /** In the order of their arrival. */
  readonly #unproven = new Map<GuardedSocket, Unproven>();
  readonly #perAddress = new Map<string, number>();
  /** The plain socket below each TLS socket. */
  readonly #carriers = new WeakMap<GuardedSocket, GuardedSocket>();

  constructor(settings: PortGuardSettings) {
    this.#settings = settings;
  }

  get unprovenCount(): number {
    return this.#unproven.size;
  }

  opened(socket: GuardedSocket): void {
    const { maxUnproven, maxPerAddress, closesOfAddress } = this.#settings;
    const address = socket.remoteAddress ?? '';
    if ((this.#perAddress.get(address) ?? 0) >= maxPerAddress) {
      const tooMany = closesOfAddress === 'newest' ? socket : (this.#oldestOf(address) ?? socket);
      this.#refuse(tooMany, 'address');
      if (tooMany === socket) return;
    }
    const [oldest] = this.#unproven.keys();
    if (this.#unproven.size >= maxUnproven && oldest !== undefined) this.#refuse(oldest, 'crowd');
    this.#unproven.set(socket, { address, upgradedAtMs: undefined });
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1);
    socket.once(
      'close',
      guardCallback('control_link', () => this.#forget(socket)),
    );
  }

  /** A TLS session began on an open connection: requests come by the new socket. */
  secured(socket: GuardedSocket, carrier: GuardedSocket): void {
    this.#carriers.set(socket, carrier);
  }

  /** The connection asks to be a WebSocket. */
  upgraded({ socket }: GuardedRequest): void {
    const carrier = this.#carrierOf(socket);
    const unproven = this.#unproven.get(carrier);
    if (unproven === undefined) return;
    unproven.upgradedAtMs = this.#settings.clock.monotonicMs();
    const before = socket.bytesRead;
    const count = guardCallback('control_link', () => {
      if (!this.#unproven.has(carrier)) socket.off('data', count);
      else if (socket.bytesRead - before > this.#settings.maxBytes) this.#refuse(carrier, 'long');
    });
    socket.on('data', count);
  }

  /** The connection belongs to a process of the cluster, and no longer counts. */
  proven({ socket }: GuardedRequest): void {
    this.#forget(this.#carrierOf(socket));
  }

  /** Closes connections whose time is over; called periodically. */
  closeLate(): void {
    const { clock, withinMs } = this.#settings;
    const before = clock.monotonicMs() - withinMs;
    for (const [socket, { upgradedAtMs }] of this.#unproven) {
      if (upgradedAtMs !== undefined && upgradedAtMs < before) this.#refuse(socket, 'late');
    }
  }

  #oldestOf(address: string): GuardedSocket | undefined {
    for (const [socket, unproven] of this.#unproven) if (unproven.address === address) return socket;
    return undefined;
  }

  #carrierOf(socket: GuardedSocket): GuardedSocket {
    return this.#carriers.get(socket) ?? socket;
  }

  #refuse(socket: GuardedSocket, why: PortRefusal): void {
    this.#forget(socket);
    this.#settings.onRefused(why);
    socket.destroy();
  }

  #forget(socket: GuardedSocket): void {
    const unproven = this.#unproven.get(socket);
    if (unproven === undefined) return;
    this.#unproven.delete(socket);
    const left = (this.#perAddress.get(unproven.address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(unproven.address);
    else this.#perAddress.set(unproven.address, left);
  }
}

const endsOf = ({ remoteAddress, remotePort, localAddress, localPort }: GuardedSocket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;

/**
 * Lets a guard check the connections of a server from the moment they are accepted, even if TLS never begins on them.
 * Call it before anything else listens to the server, so that the guard is called first.
 */
export function guardConnections(server: Server, guard: PortGate): void {
  /** Plain sockets by their two ends, until TLS begins on them: Node does not say which one a TLS socket uses. */
  const opened = new Map<string, Socket>();
  server.on(
    'connection',
    guardCallback('http', (socket: Socket) => {
      const ends = endsOf(socket);
      opened.set(ends, socket);
      socket.once(
        'close',
        guardCallback('http', () => {
          // A later connection may have the same two ends before this one reports its close.
          if (opened.get(ends) === socket) opened.delete(ends);
        }),
      );
      guard.opened(socket);
    }),
  );
  server.on(
    'secureConnection',
    guardCallback('http', (socket: TLSSocket) => {
      const carrier = opened.get(endsOf(socket));
      if (carrier !== undefined) guard.secured(socket, carrier);
    }),
  );
}

/**
 * Lets a guard check the WebSockets of a server too, and answers those at other paths. Do not call it for a server
 * without WebSockets. Call it before Socket.IO listens.
 */
export function guardWebSockets(server: Server, guard: PortGate): void {
  server.on(
    'upgrade',
    guardCallback('http', (request: IncomingMessage, socket: Duplex) => {
      guard.upgraded(request);
      answerStrayUpgrade(request, socket);
    }),
  );
  const late = every(CLOSE_LATE_MS, () => guard.closeLate());
  late.unref();
  server.once(
    'close',
    guardCallback('http', () => clearInterval(late)),
  );
}
