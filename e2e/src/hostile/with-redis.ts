import { Redis } from 'ioredis';
import type { HostileWorld } from './hostile-world.ts';

/** Somebody who has got hold of Redis. */
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
