import { TokenBucket } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import { addressKeysOf } from './address-keys.ts';

export interface TcpGateSettings {
  /** Limit of open client sockets; connections without a socket may use the places that are left. */
  readonly maxSockets: number;
  /** Limit of new connections of one address in a second, with a burst of ten times as many, while the edge is crowded. */
  readonly connectsPerSecond: number;
  readonly clock: Clock;
}

export type TcpVerdict = 'allowed' | 'connections_full' | 'connections_of_address';

/** Connections beyond `maxSockets`, so that the edge can refuse further clients with an HTTP answer. */
export const REFUSABLE_CONNECTIONS = 64;
/** The share of `maxSockets` from which on waiting connections crowd out others. */
export const CROWDED_SHARE = 0.25;
/**
 * The share of the free places that one address may hold while the edge is crowded, and the number that it may always hold. The more
 * places are taken, the fewer each new address gets, so that it takes hundreds of addresses to take all of them.
 */
export const SHARE_OF_FREE = 1 / 64;
export const MIN_CONNECTIONS_PER_ADDRESS = 4;
/** The factor by which an IPv6 site (/48) may hold more than an address. */
const SHARE_OF_SITE = 4;
/** Time within which the server closes a silent connection, or one with half a request, in seconds. */
const MAX_HELD_S = 15;
/** Interval between removals of addresses that hold nothing and whose limit is full again, in milliseconds. */
const FORGET_EVERY_MS = 5_000;

interface AddressHold {
  readonly share: number;
  readonly rate: TokenBucket;
  /** Number of its waiting connections, by the second in which they were opened. */
  readonly openedIn: Map<number, number>;
}

/**
 * Bounds connections without a client socket: silent ones, those with half a request, and HTTP kept open. The server closes
 * them after a while, but until then each holds a file, and without files an edge reaches neither store nor media nodes
 * (SPEC EN12). While there are few of them, no address is limited, so that pages, proxies and health checks work.
 */
export class TcpGate {
  readonly #settings: TcpGateSettings;
  readonly #addresses = new Map<string, AddressHold>();
  readonly #served = new WeakSet<object>();
  #waiting = 0;
  #forgotAtMs: number;

  constructor(settings: TcpGateSettings) {
    this.#settings = settings;
    this.#forgotAtMs = settings.clock.monotonicMs();
  }

  /**
   * Judges a connection that was just accepted; one that is allowed is counted until `ended`.
   * @param address - the other end; `undefined` for a trusted proxy, which connects for many clients
   * @param sockets - the number of open sockets
   */
  judge(address: string | undefined, sockets: number): TcpVerdict {
    const free = this.#settings.maxSockets + REFUSABLE_CONNECTIONS - this.#waiting - sockets;
    if (free <= 0) return 'connections_full';
    if (address !== undefined) {
      this.#forgetIdle();
      const holds = addressKeysOf(address).map(({ key, share }) => this.#holdOf(key, share));
      // Connections that an address opened before the edge was crowded count as well.
      const isWithinRate = holds.map(({ rate }) => rate.take(1)).every(Boolean);
      const isWithinShare = holds.every((hold) => this.#held(hold) < mayHold(hold, free));
      if (this.isCrowded() && !(isWithinRate && isWithinShare)) return 'connections_of_address';
      const second = this.#second();
      for (const { openedIn } of holds) openedIn.set(second, (openedIn.get(second) ?? 0) + 1);
    }
    this.#waiting += 1;
    return 'allowed';
  }

  /** Whether waiting connections crowd out others: then the server closes a connection after its answer. */
  isCrowded(): boolean {
    return this.#waiting >= this.#settings.maxSockets * CROWDED_SHARE;
  }

  /** A counted connection closed, or became a socket. */
  ended(): void {
    this.#waiting -= 1;
  }

  /**
   * A connection of this address became a socket or was answered, so it no longer counts as waiting. The library does not say whose
   * connection closed without either; such a connection counts for {@link MAX_HELD_S}.
   *
   * Where the library gives connections no identity, one that is kept open frees one place of its address with each answer. That is
   * bounded, because in a crowd the server closes a connection after its answer: an address never holds more than it held before the
   * crowd and its share of the places left then.
   * @param connection - its identity, where the library has one
   */
  served(address: string, connection?: object): void {
    if (connection !== undefined) {
      if (this.#served.has(connection)) return;
      this.#served.add(connection);
    }
    for (const { key } of addressKeysOf(address)) {
      const openedIn = this.#addresses.get(key)?.openedIn;
      const [oldest] = openedIn ?? [];
      if (openedIn === undefined || oldest === undefined) continue;
      const [second, count] = oldest;
      if (count > 1) openedIn.set(second, count - 1);
      else openedIn.delete(second);
    }
  }

  #held({ openedIn }: AddressHold): number {
    const since = this.#second() - MAX_HELD_S;
    let held = 0;
    for (const [second, count] of openedIn) {
      if (second < since) openedIn.delete(second);
      else held += count;
    }
    return held;
  }

  #second(): number {
    return Math.floor(this.#settings.clock.monotonicMs() / 1_000);
  }

  #holdOf(key: string, share: number): AddressHold {
    const { connectsPerSecond, clock } = this.#settings;
    const refillPerSecond = connectsPerSecond * share;
    const hold = this.#addresses.get(key) ?? {
      share,
      rate: new TokenBucket({ capacity: refillPerSecond * 10, refillPerSecond }, clock),
      openedIn: new Map(),
    };
    this.#addresses.set(key, hold);
    return hold;
  }

  #forgetIdle(): void {
    const nowMs = this.#settings.clock.monotonicMs();
    if (nowMs - this.#forgotAtMs < FORGET_EVERY_MS) return;
    this.#forgotAtMs = nowMs;
    for (const [key, hold] of this.#addresses)
      if (this.#held(hold) === 0 && hold.rate.isFull()) this.#addresses.delete(key);
  }
}

function mayHold({ share }: AddressHold, free: number): number {
  return Math.min(share, SHARE_OF_SITE) * Math.max(MIN_CONNECTIONS_PER_ADDRESS, free * SHARE_OF_FREE);
}
