/** How many kept chat messages a post reads, counted by Redis itself. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { SNAPSHOT_CHAT_LENGTH } from '../limits/store-limits.ts';
import type { RoomStores } from '../room/room-stores.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import type { TestRedis } from '../testing/redis-server.ts';
import { joinRoom, ROOM } from '../testing/rooms-under-test.ts';
import { peer, request } from '../testing/samples.ts';
import { KEYS } from '../testing/store-keys.ts';
import { redisRoomStores } from './redis-room-stores.ts';
import { scriptRunner } from './run-script.ts';

let server: TestRedis;
let redis: Redis;
let roomLog: RoomStores['roomLog'];

const post = async (number: number) =>
  roomLog.postChat({
    roomId: ROOM,
    peerId: peer('ann'),
    requestId: request(`c${number}`),
    text: `message ${number}`,
  });

/** How often each command that reads a list was called meanwhile. */
async function listReadsOf(work: () => Promise<unknown>): Promise<Record<string, number>> {
  await redis.config('RESETSTAT');
  await work();
  const stats = await redis.info('commandstats');
  const callsOf = (name: string): number =>
    Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  return { lrange: callsOf('lrange'), lindex: callsOf('lindex'), lpop: callsOf('lpop') };
}

beforeAll(async () => {
  server = await startRedisServer();
  redis = new Redis(server.url, { maxRetriesPerRequest: 0 });
});
beforeEach(async () => {
  await redis.flushall();
  const stores = redisRoomStores({ redis, run: scriptRunner(redis), keys: KEYS });
  ({ roomLog } = stores);
  await joinRoom(stores, 'ann');
  for (let number = 0; number < SNAPSHOT_CHAT_LENGTH; number += 1) await post(number);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

it('[BU82] a post to a full chat reads no message but the one that it displaces', async () => {
  const reads = await listReadsOf(async () => {
    for (const number of [1, 2, 3]) await post(SNAPSHOT_CHAT_LENGTH + number);
  });
  expect(reads).toEqual({ lrange: 0, lindex: 0, lpop: 3 });
});

it('[BU83] a repeated message is found by its id, and no other message is read', async () => {
  const reads = await listReadsOf(async () => {
    const { message, events } = await post(SNAPSHOT_CHAT_LENGTH / 2);
    expect([message.text, events]).toEqual([`message ${SNAPSHOT_CHAT_LENGTH / 2}`, []]);
  });
  expect(reads).toEqual({ lrange: 0, lindex: 1, lpop: 0 });
});
