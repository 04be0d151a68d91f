import type { Redis } from 'ioredis';
import { every, inBackground } from '../process/entry.ts';
import type { Logger } from '../process/logging.ts';

/** How often servers are asked, in milliseconds. */
const LOOK_EVERY_MS = 30_000;

const TO_DO =
  'set maxmemory-policy noeviction, as in deploy/redis, and give Redis enough memory for what else is in it';

/** Which keys a server drops when its memory is full; `undefined` where it drops none. @param told - the answer to `INFO memory` */
export function evictionOf(told: string): string | undefined {
  const [, limit = '0'] = /^maxmemory:(\d+)/m.exec(told) ?? [];
  const [, policy] = /^maxmemory_policy:(\S+)/m.exec(told) ?? [];
  return limit === '0' || policy === 'noeviction' ? undefined : policy;
}

/**
 * Says that a server may drop keys when its memory is full, as those of many providers do unless they are told otherwise: it takes every
 * write then, and meetings lose their people and rooms their places, also by keys that are somebody else's (SPEC HL15).
 */
export class EvictionWatch {
  readonly #servers: () => readonly Redis[];
  readonly #logger: Pick<Logger, 'info' | 'error'>;
  readonly #timer: NodeJS.Timeout;
  #told: string | undefined;

  /** @param servers - those that take writes */
  constructor(servers: () => readonly Redis[], logger: Pick<Logger, 'info' | 'error'>) {
    this.#servers = servers;
    this.#logger = logger;
    this.#timer = every(LOOK_EVERY_MS, () => this.look());
    this.#timer.unref();
  }

  /** Asks now: there is a new connection. */
  look(): void {
    inBackground(() => this.#look());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const ready = this.#servers().filter(({ status }) => status === 'ready');
    // Who is away, or may not be asked, does not tell.
    const answers = await Promise.all(ready.map(async (server) => server.info('memory').catch(() => '')));
    if (!answers.some((answer) => answer.includes('maxmemory_policy'))) return;
    const policy = answers.map(evictionOf).find((found) => found !== undefined);
    if (policy === this.#told) return;
    this.#told = policy;
    if (policy === undefined) this.#logger.info('Redis drops no keys any more when its memory is full');
    else
      this.#logger.error(
        { policy, toDo: TO_DO },
        'Redis drops keys when its memory is full: meetings lose people by it',
      );
  }
}
