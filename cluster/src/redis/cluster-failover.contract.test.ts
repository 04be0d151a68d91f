import { afterEach, expect, it } from 'vitest';
import { toPlenaryError } from '../errors.ts';
import { startRedisCluster } from '../testing/redis-cluster.ts';
import type { TestRedisCluster } from '../testing/redis-cluster.ts';
import { edge, mediaNode, peer, request, room } from '../testing/samples.ts';
import { connectTestStore } from '../testing/store-contracts.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { ClusterStore } from './connect.ts';
import { KEYS } from '../testing/store-keys.ts';

let cluster: TestRedisCluster | undefined;
let store: ClusterStore | undefined;
afterEach(async () => {
  await store?.close();
  await cluster?.stop();
});

it('[ST7] a replica of a Redis Cluster takes over its master’s rooms, and epochs keep growing', async () => {
  // Two for the one that is lost: whoever takes over takes writes while it has one itself.
  const started = await startRedisCluster([2, 1, 1]);
  cluster = started;
  store = await connectTestStore(started.address);
  const { placements } = store;
  const lost = started.masters[0];
  let roomId = room('room-0');
  for (let index = 1; (await started.masterOf(KEYS.room(roomId).meta)) !== lost; index += 1)
    roomId = room(`room-${index}`);
  const place = async (name: string) =>
    placements.placePeer({
      roomId,
      peerId: peer(name),
      requestId: request(`join-${name}`),
      edgeId: edge('edge-a'),
      mediaNodeId: mediaNode('node-a'),
      maxPeers: 10,
    });
  const before = await place('ann');
  await lost?.kill();
  // Refused, and not waited for; on a machine that stands still right now the replica has taken over before.
  const first = await place('bob').then(
    () => 'placed',
    (fault: unknown) => toPlenaryError(fault).code,
  );
  expect(['placed', 'store_unavailable']).toContain(first);
  const after = await waitFor('the replica to take over', () => place('bob'));
  expect(after.epoch).toBeGreaterThan(before.epoch);
  expect((await place('ann')).epoch).toBeGreaterThanOrEqual(before.epoch);
});
