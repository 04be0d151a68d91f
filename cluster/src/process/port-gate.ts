import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import { guardCallback, every } from './guarded-callbacks.ts';
import { answerStrayUpgrade } from './odd-http.ts';

/** Why a connection was closed by the guard: a closed set, since it is a label of metrics. */
export type PortRefusal = 'address' | 'crowd' | 'late' | 'long';

/** What is used of a connection. */
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

/** What is used of the request that a connection began with. */
interface GuardedRequest {
  readonly socket: GuardedSocket;
}

export interface PortGuardSettings {
  /** Connections that have not proven themselves, in all and from one address. */
  readonly maxUnproven: number;
  readonly maxPerAddress: number;
  /** Which connection of an address is closed where it has too many: the oldest, where many hosts may share one address. */
  readonly closesOfAddress: 'newest' | 'oldest';
  /** For how long a WebSocket may prove itself, and with how many bytes. */
  readonly withinMs: number;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly onRefused: (why: PortRefusal) => void;
}

/** Of a control port. */
export const PORT_GUARD_LIMITS = {
  maxUnproven: 1_024,
  maxPerAddress: 128,
  closesOfAddress: 'newest',
  withinMs: 10_000,
  maxBytes: 16_384,
} as const;
/** A TLS handshake takes three round trips at most. By default Node waits for two minutes. */
export const TLS_HANDSHAKE_MS = 5_000;

const CLOSE_LATE_MS = 1_000;

interface Unproven {
  readonly address: string;
  /** Since when it is a WebSocket; before that Node's own time limits for requests hold. */
  upgradedAtMs: number | undefined;
}

/**
 * Bounds what strangers can hold of the control port (SPEC EN11): connections that have not proven who they are, in number,
 * in time and in bytes. When there are too many, the one that has waited longest goes: whoever is of the cluster proves
 * itself within a moment.
 */
export class PortGate {
  readonly #settings: PortGuardSettings;
  /** In the order in which they came. */
  readonly #unproven = new Map<GuardedSocket, Unproven>();
  readonly #perAddress = new Map<string, number>();
  /** What TLS is spoken on, by the socket that speaks it. */
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

  /** TLS is spoken on a connection that was opened before: requests come by the new socket. */
  secured(socket: GuardedSocket, carrier: GuardedSocket): void {
    this.#carriers.set(socket, carrier);
  }

  /** It asks to be a WebSocket. */
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

  /** It is a process of the cluster, and counts no more. */
  proven({ socket }: GuardedRequest): void {
    this.#forget(this.#carrierOf(socket));
  }

  /** Closes those that have had their time; called now and then. */
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
 * Has a guard judge the connections of a server from the accepting on, also those on which TLS never begins. To be called before
 * anything else listens to the server, so that the guard is asked first.
 */
export function guardConnections(server: Server, guard: PortGate): void {
  /** By their two ends, until TLS is spoken on them: Node does not say which one a TLS socket is on. */
  const opened = new Map<string, Socket>();
  server.on(
    'connection',
    guardCallback('http', (socket: Socket) => {
      const ends = endsOf(socket);
      opened.set(ends, socket);
      socket.once(
        'close',
        guardCallback('http', () => {
          // The same two ends may be those of a later connection before this one has told that it is closed.
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
 * Has a guard judge the WebSockets of a server as well, and answers those at other paths. A server that has none must not listen for
 * them. To be called before Socket.IO listens.
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
