import type { Clock } from '@plenary/cluster';
import { TokenBucket } from './token-bucket.ts';

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
  sockets: number;
  idle: number;
  readonly connects: TokenBucket;
  readonly tokens: TokenBucket;
}

/**
 * Limits what one client address may do: sockets at a time, sockets that have not joined, new sockets in a second, and
 * guest tokens (SPEC RL3). An address that holds nothing and did nothing lately is forgotten.
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
    const state = this.#stateOf(address);
    if (state.sockets >= this.#settings.sockets) return 'too_many_sockets';
    if (state.idle >= this.idleLimit) return 'too_many_idle';
    return state.connects.take(1) ? 'allowed' : 'too_fast';
  }

  /** Sockets that have not joined may be half of all. */
  get idleLimit(): number {
    return Math.max(1, Math.ceil(this.#settings.sockets / 2));
  }

  /** Whether the address may have one more guest token. */
  takeGuestToken(address: string): boolean {
    return this.#stateOf(address).tokens.take(1);
  }

  /** Counts a socket; the answer is to be told when it joined, left, and closed. */
  opened(address: string): CountedSocket {
    const state = this.#stateOf(address);
    state.sockets += 1;
    state.idle += 1;
    let phase: 'idle' | 'joined' | 'closed' = 'idle';
    return {
      joined: () => {
        if (phase !== 'idle') return;
        phase = 'joined';
        state.idle -= 1;
      },
      left: () => {
        if (phase !== 'joined') return;
        phase = 'idle';
        state.idle += 1;
      },
      closed: () => {
        if (phase === 'closed') return;
        if (phase === 'idle') state.idle -= 1;
        phase = 'closed';
        state.sockets -= 1;
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

  #stateOf(address: string): AddressState {
    const known = this.#states.get(address);
    if (known !== undefined) return known;
    const { connectsPerSecond } = this.#settings;
    const bucket = { capacity: connectsPerSecond * 10, refillPerSecond: connectsPerSecond };
    const state: AddressState = {
      sockets: 0,
      idle: 0,
      connects: new TokenBucket(bucket, this.#clock),
      tokens: new TokenBucket(bucket, this.#clock),
    };
    this.#states.set(address, state);
    return state;
  }
}
