import type { Redis } from 'ioredis';
import { every, inBackground } from '../process/entry.ts';
import type { Logger } from '../process/logging.ts';

/** How often servers are asked, in milliseconds. */
const LOOK_EVERY_MS = 30_000;

const TO_DO =
  'set maxmemory-policy noeviction, as in deploy/redis, and give Redis enough memory for what else is in it';

/** What is used of a server. */
export interface InfoServer {
  readonly status: Redis['status'];
  info(section: 'memory'): Promise<string>;
}

/** Which keys a server drops when its memory is full; `undefined` where it drops none. @param told - the answer to `INFO memory` */
export function evictionOf(told: string): string | undefined {
  const [, limit = '0'] = /^maxmemory:(\d+)/m.exec(told) ?? [];
  const [, policy] = /^maxmemory_policy:(\S+)/m.exec(told) ?? [];
  return limit === '0' || policy === 'noeviction' ? undefined : policy;
}

const tellsPolicy = (told: string): boolean => told.includes('maxmemory_policy');

/**
 * Says that a server may drop keys when its memory is full, as those of many providers do unless they are told otherwise: it takes every
 * write then, and meetings lose their people and rooms their places, also by keys that are somebody else's (SPEC HL15).
 */
export class EvictionWatch {
  readonly #servers: () => readonly InfoServer[];
  readonly #logger: Pick<Logger, 'info' | 'error'>;
  readonly #timer: NodeJS.Timeout;
  #told: string | undefined;

  /** @param servers - those that take writes */
  constructor(servers: () => readonly InfoServer[], logger: Pick<Logger, 'info' | 'error'>) {
    this.#servers = servers;
    this.#logger = logger;
    this.#timer = every(LOOK_EVERY_MS, () => this.check());
    this.#timer.unref();
  }

  /** Asks now: there is a new connection. */
  check(): void {
    inBackground(() => this.#check());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    const servers = this.#servers();
    const ready = servers.filter(({ status }) => status === 'ready');
    const answers = await Promise.all(ready.map(async (server) => server.info('memory').catch(() => '')));
    const policy = answers.map(evictionOf).find((found) => found !== undefined);
    if (policy === this.#told) return;
    // A server that is away, or that refuses the question, may be the one that drops keys.
    const haveAllAnswered = answers.length === servers.length && answers.every(tellsPolicy);
    if (policy === undefined && !haveAllAnswered) return;
    this.#told = policy;
    if (policy === undefined) this.#logger.info('Redis drops no keys any more when its memory is full');
    else
      this.#logger.error(
        { policy, toDo: TO_DO },
        'Redis drops keys when its memory is full: meetings lose people by it',
      );
  }
}
