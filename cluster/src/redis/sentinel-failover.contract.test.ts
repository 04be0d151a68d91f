import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Epoch } from '../protocol/edge-media.ts';
import { startRedisSentinel } from '../testing/redis-sentinel.ts';
import type { TestRedisSentinel } from '../testing/redis-sentinel.ts';
import { edge, mediaNode, peer, request, room } from '../testing/samples.ts';
import { askServer } from '../testing/redis-process.ts';
import { connectTestStore } from '../testing/store-contracts.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { ClusterStore } from './connect.ts';

const ROOM = room('standup');
/** Sentinels do nothing for half a minute each time that they stood still for two seconds (TILT). */
const FAILOVER_WITHIN_MS = 150_000;

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
  store.placements.placePeer({
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

    told.length = 0;
    await servers.killPrimary();
    await waitFor('the loss to be told', () => told.includes(false));
    await waitFor('the new primary', () => told.at(-1) === true, FAILOVER_WITHIN_MS);
    expect(told[0]).toBe(false);

    await waitFor('it to answer', async () => (await store.roomLog.lastEventId(ROOM)) !== undefined);
    expect(await store.placements.placementOf(ROOM, peer('bob'))).toBeUndefined();
    expect(await store.placements.placementOf(ROOM, peer('ann'))).toEqual(kept);
    // It takes writes once its own replica follows.
    await waitFor('the new primary to take writes', () => place('cem'), FAILOVER_WITHIN_MS);
    expect((await place('bob')).epoch).toBeGreaterThan(moved.epoch);
    expect((await place('ann', kept.epoch)).epoch).toBeGreaterThan(moved.epoch);
  }, 400_000);
});
