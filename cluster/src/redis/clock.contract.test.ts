import { expect, it } from 'vitest';
import { startRedisCluster } from '../testing/redis-cluster.ts';
import { startRedisSentinel } from '../testing/redis-sentinel.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import { connectTestStore } from '../testing/store-contracts.ts';

it.each([
  { kind: 'one Redis', start: startRedisServer },
  { kind: 'a primary behind Sentinels', start: startRedisSentinel },
  { kind: 'a Redis Cluster', start: startRedisCluster },
])('[HL12] $kind says what time it is', async ({ start }) => {
  const redis = await start();
  const store = await connectTestStore(redis.address);
  const [beforeMs, timeMs, afterMs] = [Date.now(), await store.timeMs(), Date.now()];
  // On one host, whose clock both read; Redis reads it in whole milliseconds.
  expect(timeMs).toBeGreaterThanOrEqual(beforeMs - 1);
  expect(timeMs).toBeLessThanOrEqual(afterMs + 1);
  await store.close();
  await redis.stop();
});
