import type { Clock } from '@plenary/cluster';
import { normalise } from '../http/client-address.ts';
import type { AnswerListener } from '../http/port.ts';
import { TcpGate } from '../limits/tcp-gate.ts';
import type { EdgeMetrics } from '../metrics.ts';

export interface AcceptGateSettings {
  /** Of all clients together. */
  readonly maxSockets: number;
  /** New connections of one address in a second. */
  readonly connectsPerAddress: number;
  /** Whether an address speaks for many others. */
  readonly isProxy: (address: string) => boolean;
  /** How many sockets of clients are open. */
  readonly openSockets: () => number;
  /** Told of each connection that is refused because the edge is full, with how many sockets it holds. */
  readonly onFull: (held: number) => void;
  readonly clock: Clock;
  readonly metrics: Pick<EdgeMetrics, 'refusedConnections'>;
}

/**
 * Decides which TCP connections stay, from the moment they are accepted, and owns the count of those that are no sockets of
 * clients yet (SPEC EN12). The rule is {@link TcpGate}'s; this class asks it, and tells metrics and the operator.
 */
export class AcceptGate {
  readonly #settings: AcceptGateSettings;
  readonly #gate: TcpGate;

  constructor(settings: AcceptGateSettings) {
    const { maxSockets, connectsPerAddress, clock } = settings;
    this.#settings = settings;
    this.#gate = new TcpGate({ maxSockets, connectsPerSecond: connectsPerAddress, clock });
  }

  /** Whether a connection may stay. The carrier tells the end of one that may with {@link ended}. */
  admit(remoteAddress: string): boolean {
    const { isProxy, openSockets, onFull, metrics } = this.#settings;
    const address = normalise(remoteAddress);
    const sockets = openSockets();
    const verdict = this.#gate.judge(isProxy(address) ? undefined : address, sockets);
    if (verdict === 'allowed') return true;
    metrics.refusedConnections.inc({ reason: verdict });
    if (verdict === 'connections_full') onFull(sockets);
    return false;
  }

  /** A connection that was let in closed, or became a socket. */
  ended(): void {
    this.#gate.ended();
  }

  /** A connection of this address became a socket, or is answered. @returns whether it is to close after the answer */
  readonly served: AnswerListener = (remoteAddress, connection) => {
    this.#gate.served(normalise(remoteAddress), connection);
    return this.#gate.isCrowded() ? 'closes' : 'stays';
  };
}
