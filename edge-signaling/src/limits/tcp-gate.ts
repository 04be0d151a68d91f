import { TokenBucket } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import { keysOf } from './address-keys.ts';

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
/** An address that opened nothing for as long as its limit takes to be whole again is forgotten by the next look. */
const LOOK_EVERY_MS = 5_000;

/**
 * Bounds connections that are no sockets of clients (yet): silent ones, halves of requests, HTTP kept open. The server closes
 * them after a while, but until then each holds a file, and without files an edge reaches neither store nor media nodes
 * (SPEC EN12). While there are few nobody is limited: pages, proxies and health checks open what they like.
 */
export class TcpGate {
  readonly #settings: TcpGateSettings;
  readonly #addresses = new Map<string, TokenBucket>();
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
    const { maxSockets } = this.#settings;
    if (this.#waiting + sockets >= maxSockets + TO_BE_TOLD) return 'connections_full';
    // What an address opens before it is crowded counts as well.
    const isWithin = address === undefined || this.#take(address);
    if (!isWithin && this.#waiting >= maxSockets * CROWDED_SHARE) return 'connections_of_address';
    this.#waiting += 1;
    return 'allowed';
  }

  /** A counted connection closed, or became a socket. */
  ended(): void {
    this.#waiting -= 1;
  }

  #take(address: string): boolean {
    this.#forgetIdle();
    const buckets = keysOf(address).map(({ key, share }) => this.#bucketOf(key, share));
    return buckets.every((bucket) => bucket.take(1));
  }

  #bucketOf(key: string, share: number): TokenBucket {
    const { connectsPerSecond, clock } = this.#settings;
    const refillPerSecond = connectsPerSecond * share;
    const bucket =
      this.#addresses.get(key) ?? new TokenBucket({ capacity: refillPerSecond * 10, refillPerSecond }, clock);
    this.#addresses.set(key, bucket);
    return bucket;
  }

  #forgetIdle(): void {
    const nowMs = this.#settings.clock.monotonicMs();
    if (nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return;
    this.#lookedAtMs = nowMs;
    for (const [key, bucket] of this.#addresses) if (bucket.isFull()) this.#addresses.delete(key);
  }
}
