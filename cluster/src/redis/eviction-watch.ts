import type { Redis } from 'ioredis';
import { every, inBackground } from '../process/guarded-callbacks.ts';
import type { Logger } from '../process/logging.ts';

/** How often servers are checked, in milliseconds. */
const LOOK_EVERY_MS = 30_000;

const TO_DO =
  'set maxmemory-policy noeviction, as in deploy/redis, and give Redis enough memory for what else is in it';

/** The part of a server's connection that is used here. */
export interface InfoServer {
  readonly status: Redis['status'];
  info(section: 'memory'): Promise<string>;
}

/** The eviction policy of a server; `undefined` if it drops no keys. @param info - the answer to `INFO memory` */
export function evictionOf(info: string): string | undefined {
  const [, limit = '0'] = /^maxmemory:(\d+)/m.exec(info) ?? [];
  const [, policy] = /^maxmemory_policy:(\S+)/m.exec(info) ?? [];
  return limit === '0' || policy === 'noeviction' ? undefined : policy;
}

const tellsPolicy = (info: string): boolean => info.includes('maxmemory_policy');

/**
 * Warns that a server may drop keys when its memory is full, which is the default of many providers. Such a server
 * accepts every write, and meetings lose peers and placements, even through keys of other applications (SPEC HL15).
 */
export class EvictionWatch {
  readonly #servers: () => readonly InfoServer[];
  readonly #logger: Pick<Logger, 'info' | 'error'>;
  readonly #timer: NodeJS.Timeout;
  #reported: string | undefined;

  /** @param servers - those that accept writes */
  constructor(servers: () => readonly InfoServer[], logger: Pick<Logger, 'info' | 'error'>) {
    this.#servers = servers;
    this.#logger = logger;
    this.#timer = every(LOOK_EVERY_MS, () => this.check());
    this.#timer.unref();
  }

  /** Checks at once, because there is a new connection. */
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
    if (policy === this.#reported) return;
    // A server that is down, or that refuses the command, may be the one that drops keys.
    const haveAllAnswered = answers.length === servers.length && answers.every(tellsPolicy);
    if (policy === undefined && !haveAllAnswered) return;
    this.#reported = policy;
    if (policy === undefined) this.#logger.info('Redis drops no keys any more when its memory is full');
    else
      this.#logger.error(
        { policy, toDo: TO_DO },
        'Redis drops keys when its memory is full: meetings lose people by it',
      );
  }
}
