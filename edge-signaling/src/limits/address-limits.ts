import { TokenBucket } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import { addressKeysOf } from './address-keys.ts';

export interface AddressSettings {
  /** Limit of open sockets. */
  readonly sockets: number;
  /** Limit of new sockets in a second, with a burst of ten times as many. */
  readonly connectsPerSecond: number;
}

export type AddressVerdict = 'allowed' | 'too_many_sockets' | 'too_many_idle' | 'too_fast';

/** One socket as the limits of its address count it. A call that does not fit its state changes nothing. */
export interface CountedSocket {
  joined(): void;
  left(): void;
  closed(): void;
}

interface AddressState {
  readonly share: number;
  sockets: number;
  idle: number;
  readonly connects: TokenBucket;
  readonly tokens: TokenBucket;
}

/**
 * Limits one client address: open sockets, sockets that have not joined, new sockets in a second, and guest tokens
 * (SPEC RL3). An IPv6 address counts for its network and its site (SPEC EN32). Idle addresses are forgotten.
 */
export class AddressLimits {
  readonly #settings: AddressSettings;
  readonly #clock: Clock;
  readonly #states = new Map<string, AddressState>();

  constructor(settings: AddressSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** Whether one more socket may open; `opened` counts it. */
  judgeConnect(address: string): AddressVerdict {
    const states = this.#statesOf(address);
    for (const { sockets, idle, share } of states) {
      if (sockets >= this.#settings.sockets * share) return 'too_many_sockets';
      if (idle >= this.idleLimit * share) return 'too_many_idle';
    }
    return takeOfAll(states.map(({ connects }) => connects)) ? 'allowed' : 'too_fast';
  }

  /** Half of an address's sockets may be sockets that have not joined. */
  get idleLimit(): number {
    return Math.max(1, Math.ceil(this.#settings.sockets / 2));
  }

  /** Whether the address may have one more guest token. */
  takeGuestToken(address: string): boolean {
    return takeOfAll(this.#statesOf(address).map(({ tokens }) => tokens));
  }

  /** Counts a socket. The caller reports its join, leave and close to the returned object. */
  opened(address: string): CountedSocket {
    const states = this.#statesOf(address);
    const add = (sockets: number, idle: number): void => {
      for (const state of states) {
        state.sockets += sockets;
        state.idle += idle;
      }
    };
    add(1, 1);
    let phase: 'idle' | 'joined' | 'closed' = 'idle';
    return {
      joined: () => {
        if (phase !== 'idle') return;
        phase = 'joined';
        add(0, -1);
      },
      left: () => {
        if (phase !== 'joined') return;
        phase = 'idle';
        add(0, 1);
      },
      closed: () => {
        if (phase === 'closed') return;
        add(-1, phase === 'idle' ? -1 : 0);
        phase = 'closed';
      },
    };
  }

  /** Forgets addresses that hold nothing; called periodically. */
  forgetIdle(): void {
    for (const [address, state] of this.#states) {
      if (state.sockets === 0 && state.connects.isFull() && state.tokens.isFull())
        this.#states.delete(address);
    }
  }

  get addressCount(): number {
    return this.#states.size;
  }

  #statesOf(address: string): readonly AddressState[] {
    return addressKeysOf(address).map(({ key, share }) => this.#stateOf(key, share));
  }

  #stateOf(key: string, share: number): AddressState {
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const refillPerSecond = this.#settings.connectsPerSecond * share;
    const bucket = { capacity: refillPerSecond * 10, refillPerSecond };
    const state: AddressState = {
      share,
      sockets: 0,
      idle: 0,
      connects: new TokenBucket(bucket, this.#clock),
      tokens: new TokenBucket(bucket, this.#clock),
    };
    this.#states.set(key, state);
    return state;
  }
}

/** Takes one token of each bucket. Tokens of the first ones are lost if a later one refuses, which makes the limit only stricter. */
function takeOfAll(buckets: readonly TokenBucket[]): boolean {
  return buckets.every((bucket) => bucket.take(1));
}
