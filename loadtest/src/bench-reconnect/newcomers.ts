import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiCredentials } from '../join-token.ts';
import { Member, timedJoin } from './member.ts';

/** How long a newcomer stays. */
const STAY_MS = 2_000;
/** No crowd has so many people that one of them would come from there too. */
const LOCAL_ADDRESS = '127.0.255.1';

export interface NewcomersOptions {
  readonly credentials: ApiCredentials;
  readonly edgeUrls: readonly string[];
  readonly perSecond: number;
}

export interface NewcomersResult {
  /** Milliseconds that each join took that went well, retries included. */
  readonly servedMs: readonly number[];
  /** Codes of the joins that were refused for good. */
  readonly failures: readonly string[];
}

/** People who join evenly while the storm is on, begun whether or not those before are in, and leave again. */
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

  /** Lets nobody new come; waits until all who came are in, or were refused, and have left. */
  async finish(): Promise<NewcomersResult> {
    clearInterval(this.#timer);
    await Promise.all(this.#visits);
    return { servedMs: this.#servedMs, failures: this.#failures };
  }

  async #visit(): Promise<void> {
    const { credentials, edgeUrls } = this.#options;
    const number = this.#count;
    this.#count += 1;
    // As a load balancer would: the edges in turn.
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
