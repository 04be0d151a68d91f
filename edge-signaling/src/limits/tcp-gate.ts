import { TokenBucket } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import { addressKeysOf } from './address-keys.ts';

export interface TcpGateSettings {
  /** Sockets of clients that may be open; connections that are none yet may take the places that are left. */
  readonly maxSockets: number;
  /** New connections of one address in a second, ten times as many at once, while it is crowded here. */
  readonly connectsPerSecond: number;
  readonly clock: Clock;
}

export type TcpVerdict = 'allowed' | 'connections_full' | 'connections_of_address';

/** Beyond the sockets, so that one more is told by HTTP that there are no more. */
export const TO_BE_TOLD = 64;
/** From this share of all on, those who wait crowd out others. */
export const CROWDED_SHARE = 0.25;
/**
 * What one address may hold of the places that are free while it is crowded, and what it may hold in any case: so the more of them are
 * taken, the less each newcomer may have, and it takes hundreds of addresses to take all of them.
 */
export const SHARE_OF_FREE = 1 / 64;
export const HELD_IN_ANY_CASE = 4;
/** An IPv6 site (/48) may hold so many times as much as an address. */
const SHARE_OF_SITE = 4;
/** A connection that says nothing, or half of something, is closed within so many seconds. */
const HELD_AT_MOST_S = 15;
/** An address that opened nothing for as long as its limit takes to be whole again is forgotten by the next look. */
const LOOK_EVERY_MS = 5_000;

interface AddressHold {
  readonly share: number;
  readonly rate: TokenBucket;
  /** Its connections that wait, by the second in which they were opened. */
  readonly openedIn: Map<number, number>;
}

/**
 * Bounds connections that are no sockets of clients (yet): silent ones, halves of requests, HTTP kept open. The server closes
 * them after a while, but until then each holds a file, and without files an edge reaches neither store nor media nodes
 * (SPEC EN12). While there are few nobody is limited: pages, proxies and health checks open what they like.
 */
export class TcpGate {
  readonly #settings: TcpGateSettings;
  readonly #addresses = new Map<string, AddressHold>();
  readonly #served = new WeakSet<object>();
  #waiting = 0;
  #lookedAtMs: number;

  constructor(settings: TcpGateSettings) {
    this.#settings = settings;
    this.#lookedAtMs = settings.clock.monotonicMs();
  }

  /**
   * Judges a connection that was just accepted; one that is allowed is counted until `ended`.
   * @param address - the other end; `undefined` where it speaks for others, as a trusted proxy does
   * @param sockets - that are open now
   */
  judge(address: string | undefined, sockets: number): TcpVerdict {
    const free = this.#settings.maxSockets + TO_BE_TOLD - this.#waiting - sockets;
    if (free <= 0) return 'connections_full';
    if (address !== undefined) {
      this.#forgetIdle();
      const holds = addressKeysOf(address).map(({ key, share }) => this.#holdOf(key, share));
      // What an address opens before it is crowded counts as well.
      const isWithinRate = holds.map(({ rate }) => rate.take(1)).every(Boolean);
      const isWithinShare = holds.every((hold) => this.#held(hold) < mayHold(hold, free));
      if (this.isCrowded() && !(isWithinRate && isWithinShare)) return 'connections_of_address';
      const second = this.#second();
      for (const { openedIn } of holds) openedIn.set(second, (openedIn.get(second) ?? 0) + 1);
    }
    this.#waiting += 1;
    return 'allowed';
  }

  /** Whether those who wait crowd out others: then a connection that was answered is closed. */
  isCrowded(): boolean {
    return this.#waiting >= this.#settings.maxSockets * CROWDED_SHARE;
  }

  /** A counted connection closed, or became a socket. */
  ended(): void {
    this.#waiting -= 1;
  }

  /**
   * A connection of this address became a socket, or was answered: it does not wait for itself. Of those that just close the
   * library does not say whose they were; they count for as long as one can last.
   *
   * Where connections are not told apart, one that is kept open takes a hold of its address back with each answer. That is
   * bounded, since in a crowd an answer closes its connection: an address never has more than it had before it became crowded
   * here and its share of what is left then.
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
    const since = this.#second() - HELD_AT_MOST_S;
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
    if (nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return;
    this.#lookedAtMs = nowMs;
    for (const [key, hold] of this.#addresses)
      if (this.#held(hold) === 0 && hold.rate.isFull()) this.#addresses.delete(key);
  }
}

function mayHold({ share }: AddressHold, free: number): number {
  return Math.min(share, SHARE_OF_SITE) * Math.max(HELD_IN_ANY_CASE, free * SHARE_OF_FREE);
}
