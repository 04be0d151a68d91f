import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Epoch } from '../protocol/edge-media.ts';
import { startRedisSentinel } from '../testing/redis-sentinel.ts';
import type { TestRedisSentinel } from '../testing/redis-sentinel.ts';
import { edge, mediaNode, peer, request, room } from '../testing/samples.ts';
import { freePort } from '../testing/ports.ts';
import { askServer, RedisProcess, ServerFolder } from '../testing/redis-process.ts';
import { connectTestStore } from '../testing/store-contracts.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { ClusterStore } from './connect.ts';

const ROOM = room('standup');

let servers: TestRedisSentinel;
let store: ClusterStore;
beforeEach(async () => {
  servers = await startRedisSentinel();
  store = await connectTestStore(servers.address);
});
afterEach(async () => {
  await store.close();
  await servers.stop();
});

const place = async (name: string, replacesEpoch?: Epoch) =>
  store.rooms.placePeer({
    roomId: ROOM,
    peerId: peer(name),
    requestId: request(`join-${name}`),
    edgeId: edge('edge-a'),
    mediaNodeId: mediaNode('node-a'),
    maxPeers: 1_000,
    ...(replacesEpoch === undefined ? {} : { replacesEpoch }),
  });

/** Waits until every replica has all that the primary was told up to now. */
async function untilReplicasHaveAll(primaryUrl: string): Promise<void> {
  const replication = (): Promise<string> => askServer(primaryUrl, (redis) => redis.info('replication'));
  const offsets = (told: string, field: RegExp): number[] =>
    [...told.matchAll(field)].map(([, offset]) => Number(offset));
  const [written = Number.POSITIVE_INFINITY] = offsets(await replication(), /master_repl_offset:(\d+)/g);
  await waitFor('the replicas to have all', async () => {
    const have = offsets(await replication(), /^slave\d+:.*offset=(\d+)/gm);
    return have.length > 0 && have.every((offset) => offset >= written);
  });
}

describe('a failover by Sentinels', () => {
  it('[ST7] [EP1] is followed, and no epoch after it is as low as one before it, although writes were lost', async () => {
    const told: boolean[] = [];
    store.onAvailability((available) => told.push(available));
    const kept = await place('ann');
    await untilReplicasHaveAll(servers.primaryUrl);
    await servers.cutReplicasOff();
    const lost = await place('bob');
    let moved = await place('ann', kept.epoch);
    for (let count = 0; count < 100; count += 1) moved = await place('ann', moved.epoch);
    expect(moved.epoch).toBeGreaterThan(lost.epoch);

    await servers.killPrimary();
    await expect(place('ann')).rejects.toMatchObject({ code: 'store_unavailable' });
    await waitFor('the new primary', () => told.length > 1, 60_000);
    expect(told).toEqual([false, true]);

    expect(await store.rooms.placementOf(ROOM, peer('bob'))).toBeUndefined();
    expect(await store.rooms.placementOf(ROOM, peer('ann'))).toEqual(kept);
    // It takes writes once its own replica follows.
    await waitFor('the new primary to take writes', async () => place('cem').catch(() => undefined), 60_000);
    expect((await place('bob')).epoch).toBeGreaterThan(moved.epoch);
    expect((await place('ann', kept.epoch)).epoch).toBeGreaterThan(moved.epoch);
  }, 120_000);

  it('[HL13] is followed although the Sentinel that is asked first was not told of it, and the old primary hangs', async () => {
    if (servers.address.kind !== 'sentinel') throw new Error('no Sentinels');
    const { hostname, port } = new URL(servers.primaryUrl);
    const stalePort = await freePort();
    const folder = await ServerFolder.create();
    const file = join(folder.path, 'stale.conf');
    const { sentinelPassword = '' } = servers.address;
    const lines = [
      `port ${stalePort}`,
      'bind 127.0.0.1',
      `requirepass ${sentinelPassword}`,
      `sentinel monitor ${servers.name} ${hostname} ${port} 2`,
      // So that it meets nobody by way of the primary.
      `sentinel auth-pass ${servers.name} wrong`,
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    await RedisProcess.start(folder, [file, '--sentinel']);
    const sentinels = [{ host: '127.0.0.1', port: stalePort }, ...servers.address.sentinels];
    const led = await connectTestStore({ ...servers.address, sentinels });
    try {
      const [primary] = servers.servers;
      primary?.process.pause();
      await waitFor('the loss to be noticed', () => !led.isAvailable());
      await waitFor('the new primary', () => led.isAvailable(), 60_000);
    } finally {
      await led.close();
      await folder.end();
    }
  }, 120_000);
});
