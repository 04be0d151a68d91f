import type { IncomingMessage } from 'node:http';
import { afterTurn, tellEntryFault } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import type { OriginCheck } from '../http/origins.ts';
import type { AddressLimits, AddressVerdict } from '../limits/address-limits.ts';
import { ConnectGate } from '../limits/connect-gate.ts';
import type { EdgeMetrics } from '../metrics.ts';
import type { ConnectionRefusal } from '../transport/connection-refusals.ts';
import type { RequestAddresses } from './request-addresses.ts';

/** Some 10 ms of work each, so that clients that are in already are served beside them. */
const CONNECTS_PER_LATE_TURN = 24;
/** Even an edge that is behind opens some connections, so that somebody gets in. */
const CONNECTS_PER_TURN_BEHIND = 2;
/** With turns of this length a join, which takes ten of them, is as slow as a person bears. */
const LATE_TURN_MS = 100;

/** What a handshake is judged by. Functions charge somebody for it or log, so they are called in order and only when needed. */
export interface HandshakeFacts {
  readonly isStopping: boolean;
  readonly isDraining: boolean;
  /** Why nobody can be served here who can be on another edge. */
  readonly elsewhere: ConnectionRefusal | undefined;
  readonly openSockets: number;
  readonly maxSockets: number;
  readonly isOriginAllowed: () => boolean;
  /** Takes one of the connections that this turn of the event loop may open. */
  readonly takeTurn: () => boolean;
  /** Charges the client's address for one connection. */
  readonly chargeAddress: () => AddressVerdict;
}

/** Why a handshake is refused, or `undefined` where a socket may open. */
export function refusalOf(facts: HandshakeFacts): ConnectionRefusal | undefined {
  if (facts.isStopping || facts.isDraining) return 'shutting_down';
  // Clients that hold a socket keep it, and can resume elsewhere.
  if (facts.elsewhere !== undefined) return facts.elsewhere;
  // An edge that reaches its file limit could not open connections to the store either.
  if (facts.openSockets >= facts.maxSockets) return 'full';
  if (!facts.isOriginAllowed()) return 'origin';
  // Before the address is charged: the edge is too slow here, not the client too fast.
  if (!facts.takeTurn()) return 'busy';
  const verdict = facts.chargeAddress();
  return verdict === 'allowed' ? undefined : verdict;
}

export interface HandshakeGateSettings {
  readonly maxSockets: number;
  /** How many sockets of clients are open. */
  readonly openSockets: () => number;
  /** Told of each handshake that is refused because the edge is full, with how many sockets it holds. */
  readonly onFull: (held: number) => void;
  readonly isDraining: () => boolean;
  /** Whether clients wait so long for their turn that no more are to be let in. */
  readonly isBehind: () => boolean;
  readonly whyElsewhere: () => ConnectionRefusal | undefined;
  readonly isOriginAllowed: OriginCheck;
  readonly addresses: Pick<RequestAddresses, 'of'>;
  readonly addressLimits: Pick<AddressLimits, 'judgeConnect'>;
  readonly clock: Clock;
  readonly metrics: Pick<EdgeMetrics, 'refusedConnections'>;
}

/** Decides which handshakes become sockets of clients, and counts those that do not. It owns the pace of new sockets. */
export class HandshakeGate {
  readonly #settings: HandshakeGateSettings;
  readonly #turns: ConnectGate;
  #isStopping = false;

  constructor(settings: HandshakeGateSettings) {
    const { isBehind, clock } = settings;
    this.#settings = settings;
    this.#turns = new ConnectGate({
      atOnce: CONNECTS_PER_LATE_TURN,
      atOnceBehind: CONNECTS_PER_TURN_BEHIND,
      isBehind,
      lateMs: LATE_TURN_MS,
      clock,
      afterTurn,
    });
  }

  /** From now on every handshake is refused. */
  stop(): void {
    this.#isStopping = true;
  }

  /** @returns why the handshake is refused, or `undefined`; never throws */
  judge(request: IncomingMessage): ConnectionRefusal | undefined {
    let refusal: ConnectionRefusal | undefined = 'internal';
    try {
      refusal = this.#refusalOf(request);
    } catch (fault) {
      tellEntryFault('socket', fault);
    }
    if (refusal !== undefined) this.#settings.metrics.refusedConnections.inc({ reason: refusal });
    return refusal;
  }

  #refusalOf(request: IncomingMessage): ConnectionRefusal | undefined {
    const { maxSockets, isDraining, whyElsewhere, isOriginAllowed, addresses, addressLimits, onFull } =
      this.#settings;
    const openSockets = this.#settings.openSockets();
    const refusal = refusalOf({
      isStopping: this.#isStopping,
      isDraining: isDraining(),
      elsewhere: whyElsewhere(),
      openSockets,
      maxSockets,
      isOriginAllowed: () => isOriginAllowed(request.headers.origin),
      takeTurn: () => this.#turns.admit(),
      chargeAddress: () => addressLimits.judgeConnect(addresses.of(request)),
    });
    if (refusal === 'full') onFull(openSockets);
    return refusal;
  }
}
