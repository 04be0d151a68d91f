import { entry } from '../process/entry.ts';
import type { Redis } from 'ioredis';

/** So often a connection is made anew to reach the server of another one; then an address leads to several at a time. */
const FOLLOWED_AT_MOST = 5;

/**
 * Which server a connection stands to: an address, or a proxy behind it, may lead a new connection to another one than those that stand
 * already (SPEC HL50).
 */
export class ServerIdentity {
  #runId: string | undefined;
  #followed = 0;

  constructor(redis: Redis) {
    redis.on(
      'ready',
      entry('store', async () => {
        // A connection that subscribed before, or a user that may not ask, does not tell.
        const told = await redis.info('server').catch(() => '');
        this.#runId = /^run_id:(\w+)/m.exec(told)?.[1];
      }),
    );
    redis.on(
      'close',
      entry('store', () => {
        this.#runId = undefined;
      }),
    );
  }

  /** Whether another connection surely stands to another server than this one, and is to be made anew. */
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
