import { EVENT_LOG_LENGTH, MAX_CATCH_UP_BYTES, MAX_EVENT_LOG_BYTES } from '../limits/store-limits.ts';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRedisServer } from '../testing/redis-server.ts';
import type { TestRedis } from '../testing/redis-server.ts';
import { describeStoreContracts } from '../testing/store-contracts.ts';
import { edge, mediaNode, peer, request, room, tenant, track } from '../testing/samples.ts';
import { KEYS } from '../testing/store-keys.ts';
import { RedisRegistry } from './redis-registry.ts';
import { redisRoomStores } from './redis-room-stores.ts';
import { RedisTenantStore } from './redis-tenant-store.ts';
import { scriptRunner } from './run-script.ts';
import { SCRIPTS } from './scripts.generated.ts';

let server: TestRedis;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(() => server.stop());

async function connect(): Promise<Redis> {
  const redis = new Redis(server.url, { maxRetriesPerRequest: 0 });
  await redis.flushall();
  return redis;
}

describeStoreContracts('Redis', startRedisServer);

describe('Redis scripts', () => {
  it('[PL29] the keys of a tenant expire with its last lease', async () => {
    const redis = await connect();
    const tenants = new RedisTenantStore(scriptRunner(redis), KEYS);
    const acme = tenant('acme');
    const limits = { maxPeers: undefined, maxRooms: undefined };
    await tenants.claim(acme, { roomId: room('standup'), peerId: peer('ann') }, limits, 60_000);
    await tenants.claim(acme, { roomId: room('standup'), peerId: peer('ben') }, limits, 1_000);
    for (const key of Object.values({ ...KEYS.tenant(acme) })) {
      const leftMs = await redis.pttl(key);
      expect(leftMs).toBeGreaterThan(1_000);
      expect(leftMs).toBeLessThanOrEqual(60_000);
    }
    redis.disconnect();
  });

  it('[ST2] a server that does not know a script receives its text', async () => {
    const redis = await connect();
    await redis.script('FLUSH');
    const { placements } = redisRoomStores({ redis, run: scriptRunner(redis), keys: KEYS });
    const placed = await placements.placePeer({
      roomId: room('standup'),
      peerId: peer('ann'),
      requestId: request('r1'),
      edgeId: edge('edge-a'),
      mediaNodeId: mediaNode('node-a'),
      maxPeers: 10,
    });
    expect(placed.mediaNodeId).toBe('node-a');
    redis.disconnect();
  });

  it('[EP1] an epoch is at least Redis TIME in microseconds', async () => {
    const redis = await connect();
    const { placements } = redisRoomStores({ redis, run: scriptRunner(redis), keys: KEYS });
    const [seconds, microseconds] = await redis.time();
    const { epoch } = await placements.placePeer({
      roomId: room('standup'),
      peerId: peer('ann'),
      requestId: request('r1'),
      edgeId: edge('edge-a'),
      mediaNodeId: mediaNode('node-a'),
      maxPeers: 10,
    });
    expect(epoch).toBeGreaterThan(Number(seconds) * 1_000_000 + Number(microseconds));
    redis.disconnect();
  });

  it('[LG10] the log has the length that the protocol defines', () => {
    const appending = Object.values(SCRIPTS).filter((script) => script.lua.includes('append_event('));
    expect(appending.length).toBeGreaterThan(0);
    for (const { lua } of appending) {
      expect(lua).toContain(`local EVENT_LOG_LENGTH = ${EVENT_LOG_LENGTH}\n`);
      expect(lua).toContain(`local MAX_EVENT_LOG_BYTES = ${MAX_EVENT_LOG_BYTES}\n`);
    }
    expect(SCRIPTS.eventsAfter.lua).toContain(`local MAX_CATCH_UP_BYTES = ${MAX_CATCH_UP_BYTES}\n`);
  });

  it('[ST3] malformed records in the registry are skipped and reported', async () => {
    const redis = await connect();
    const malformed: string[] = [];
    const registry = new RedisRegistry(scriptRunner(redis), KEYS, (detail) => malformed.push(detail()));
    await redis.hset(KEYS.edges, 'edge-a', '9999999999999|x|{"edgeId":1}');
    expect(await registry.liveEdges()).toEqual([]);
    expect(malformed).toHaveLength(1);
    redis.disconnect();
  });

  it('[ST4] an unreachable store gives store_unavailable', async () => {
    const redis = new Redis(server.url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      lazyConnect: true,
    });
    redis.on('error', () => undefined);
    const { roomLog } = redisRoomStores({ redis, run: scriptRunner(redis), keys: KEYS });
    await expect(roomLog.lastEventId(room('standup'))).rejects.toMatchObject({ code: 'store_unavailable' });
    redis.disconnect();
  });

  it('[ST4] a store that hangs gives store_unavailable', async () => {
    const redis = await connect();
    const { roomLog } = redisRoomStores({ redis, run: scriptRunner(redis), keys: KEYS });
    const hanging = await connect();
    await hanging.client('PAUSE', 60_000, 'WRITE');
    await expect(roomLog.setTrackPaused(room('standup'), track('camera'), true)).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    await hanging.client('UNPAUSE');
    redis.disconnect();
    hanging.disconnect();
  });
});
