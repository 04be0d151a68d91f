import { TokenBucket } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import { addressKeysOf } from './address-keys.ts';

export interface AddressSettings {
  /** Sockets at a time. */
  readonly sockets: number;
  /** New sockets in a second; ten times as many may come at once. */
  readonly connectsPerSecond: number;
}

export type AddressVerdict = 'allowed' | 'too_many_sockets' | 'too_many_idle' | 'too_fast';

/** One socket as its address' limits count it. What does not fit its state changes nothing. */
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
 * Limits what one client address may do: sockets at a time, sockets that have not joined, new sockets in a second, and
 * guest tokens (SPEC RL3). An address of IPv6 counts for its network and its site (SPEC EN32). What holds nothing and did
 * nothing lately is forgotten.
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

  /** Sockets that have not joined may be half of all. */
  get idleLimit(): number {
    return Math.max(1, Math.ceil(this.#settings.sockets / 2));
  }

  /** Whether the address may have one more guest token. */
  takeGuestToken(address: string): boolean {
    return takeOfAll(this.#statesOf(address).map(({ tokens }) => tokens));
  }

  /** Counts a socket; the answer is to be told when it joined, left, and closed. */
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

  /** Forgets addresses that hold nothing; called now and then. */
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

/** Takes one of each. What the first ones gave before a later one refused is lost, which a limit may bear. */
function takeOfAll(buckets: readonly TokenBucket[]): boolean {
  return buckets.every((bucket) => bucket.take(1));
}
