import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiCredentials } from '../join-token.ts';
import { Member, timedJoin } from './member.ts';

/** How long a newcomer stays, in milliseconds. */
const STAY_MS = 2_000;
/** An address from which no crowd is large enough to connect. */
const LOCAL_ADDRESS = '127.0.255.1';

export interface NewcomersOptions {
  readonly credentials: ApiCredentials;
  readonly edgeUrls: readonly string[];
  readonly perSecond: number;
}

export interface NewcomersResult {
  /** How long each successful join took, retries included, in milliseconds. */
  readonly servedMs: readonly number[];
  /** The error codes of joins that failed permanently. */
  readonly failures: readonly string[];
}

/** People who join at a steady rate during the storm, whether or not earlier ones are in, and leave again. */
export class Newcomers {
  readonly #options: NewcomersOptions;
  readonly #visits: Promise<void>[] = [];
  readonly #servedMs: number[] = [];
  readonly #failures: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #count = 0;

  constructor(options: NewcomersOptions) {
    this.#options = options;
  }

  start(): void {
    const { perSecond } = this.#options;
    if (perSecond > 0) this.#timer = setInterval(() => this.#visits.push(this.#visit()), 1_000 / perSecond);
  }

  /** Stops further visits, and waits until all visitors have joined or failed, and have left. */
  async finish(): Promise<NewcomersResult> {
    clearInterval(this.#timer);
    await Promise.all(this.#visits);
    return { servedMs: this.#servedMs, failures: this.#failures };
  }

  async #visit(): Promise<void> {
    const { credentials, edgeUrls } = this.#options;
    const number = this.#count;
    this.#count += 1;
    // A load balancer would also use the edges in turn.
    const turn = number % edgeUrls.length;
    const member = new Member({
      credentials,
      edgeUrls: [...edgeUrls.slice(turn), ...edgeUrls.slice(0, turn)],
      roomId: `newcomers-${Math.floor(number / 10)}`,
      name: `newcomer-${number}`,
      localAddress: LOCAL_ADDRESS,
    });
    const outcome = await timedJoin(member);
    if (typeof outcome === 'string') this.#failures.push(outcome);
    else {
      this.#servedMs.push(outcome);
      await sleep(STAY_MS);
      await member.leave();
    }
  }
}
