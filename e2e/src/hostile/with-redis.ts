import { Redis } from 'ioredis';
import type { HostileWorld } from './hostile-world.ts';

/** Runs an action of an attacker who has access to Redis. */
export async function withRedis<Result>(
  world: HostileWorld,
  act: (redis: Redis) => Promise<Result>,
): Promise<Result> {
  const redis = new Redis(world.cluster.redisUrl);
  try {
    return await act(redis);
  } finally {
    redis.disconnect();
  }
}
