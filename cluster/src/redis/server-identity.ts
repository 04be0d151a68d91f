import { guardCallback } from '../process/guarded-callbacks.ts';
import type { Redis } from 'ioredis';

/**
 * How often a connection is reopened to reach another one's server; if that fails, the address leads to several at a
 * time.
 */
const FOLLOWED_AT_MOST = 5;

/**
 * The server behind a connection. An address, or a proxy behind it, may lead a new connection to another server than
 * existing ones (SPEC HL50).
 */
export class ServerIdentity {
  #runId: string | undefined;
  #followed = 0;

  constructor(redis: Redis) {
    redis.on(
      'ready',
      guardCallback('store', async () => {
        // A connection that subscribed before, or whose user lacks the right, cannot ask.
        const told = await redis.info('server').catch(() => '');
        this.#runId = /^run_id:(\w+)/m.exec(told)?.[1];
      }),
    );
    redis.on(
      'close',
      guardCallback('store', () => {
        this.#runId = undefined;
      }),
    );
  }

  /** Whether another connection certainly leads to another server than this one, and must be reopened. */
  isElsewhere(other: ServerIdentity): boolean {
    if (this.#runId === undefined || other.#runId === undefined) return false;
    if (this.#runId === other.#runId) {
      other.#followed = 0;
      return false;
    }
    other.#followed += 1;
    return other.#followed <= FOLLOWED_AT_MOST;
  }
}
