import { startRedisCluster } from '@plenary/cluster/testing/redis-cluster';
import type { TestMaster, TestRedisCluster } from '@plenary/cluster/testing/redis-cluster';
import { askServer } from '@plenary/cluster/testing/redis-process';
import { refusalsOf } from '@plenary/cluster/testing/redis-users';
import { startRedisSentinel } from '@plenary/cluster/testing/redis-sentinel';
import type { TestRedisSentinel } from '@plenary/cluster/testing/redis-sentinel';
import { afterEach, describe, expect, it } from 'vitest';
import { testRoom } from './testing/edge-process.ts';
import { joinRequest } from './testing/test-client.ts';
import type { TestClient } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';
import { roomChannelOf, socketRoomOf } from './transport/publication.ts';

/** Where the sharded adapter publishes the events of a room. */
const channelOf = (room: string): string => roomChannelOf('plenary:socket.io', socketRoomOf(testRoom(room)));

/** Joins a room on both edges. */
async function meet(
  cluster: Pick<TestCluster, 'client'>,
  room: string,
): Promise<readonly [TestClient, TestClient]> {
  const [ann, bob] = [await cluster.client(0), await cluster.client(1)];
  await ann.join(room);
  await bob.join(room);
  return [ann, bob];
}

/** Says something on the first edge and waits until it is heard, live, on the second. */
async function talk([ann, bob]: readonly [TestClient, TestClient], text: string): Promise<void> {
  await ann.call('chat.post', { requestId: text, text });
  await bob.event((event) => event.type === 'chat.posted' && event.message.text === text, text);
}

/** No edge asked a server for anything that its user may not, also where nobody minds the refusal (SPEC KY4). */
async function expectNoRefusal(urls: readonly string[]): Promise<void> {
  for (const url of urls) expect(await askServer(url, refusalsOf), 'what the users lack').toEqual([]);
}

describe('two edges on a Redis Cluster', () => {
  let cluster: TestCluster<TestRedisCluster>;
  afterEach(async () => cluster.stop());

  /** Rooms whose events go through a master, but whose keys, like the registry's, are on another. */
  async function roomsHeardThrough(master: TestMaster, count: number): Promise<readonly string[]> {
    const found: string[] = [];
    for (let index = 0; found.length < count; index += 1) {
      const room = `room-${index}`;
      const isHeard = (await cluster.redis.masterOf(channelOf(room))) === master;
      const isKept = (await cluster.redis.masterOf(`{room:${testRoom(room)}}`)) === master;
      if (isHeard && !isKept) found.push(room);
    }
    return found;
  }

  it('[ST8] [KY4] people see each other, whichever master carries their room, and edges hear each other', async () => {
    cluster = await TestCluster.startOn(await startRedisCluster(), { edges: 2, mediaNodes: 1 });
    for (const [index, master] of cluster.redis.masters.entries()) {
      const [room = ''] = await roomsHeardThrough(master, 1);
      const people = await meet(cluster, room);
      await people[0].event((event) => event.type === 'peer.joined', 'the other one');
      await talk(people, `through-master-${index}`);
      await people[1].call('leave', {});
      await people[0].event((event) => event.type === 'peer.left', 'the other one left');
    }

    const request = await joinRequest('moving');
    const [first, second] = [await cluster.client(0), await cluster.client(1)];
    await first.call('join', request);
    await second.call('join', request);
    expect((await first.notice('bye')).code).toBe('replaced');
    await expectNoRefusal(cluster.redis.masters.map(({ url }) => url));
  });

  it('[ST8] [ST6] and again after the master that carries their room was away', async () => {
    cluster = await TestCluster.startOn(await startRedisCluster(), { edges: 2, mediaNodes: 1 });
    const registryMaster = await cluster.redis.masterOf('{registry}');
    const lost = cluster.redis.masters.find((master) => master !== registryMaster);
    if (lost === undefined) throw new Error('no master');
    const [before = '', during = ''] = await roomsHeardThrough(lost, 2);
    const old = await meet(cluster, before);
    await talk(old, 'before');
    await lost.kill();
    // Their keys are elsewhere: they join and talk, and are heard on their own edge.
    const fresh = await meet(cluster, during);
    for (const [ann] of [old, fresh]) {
      await ann.call('chat.post', { requestId: 'alone', text: 'alone' });
      await ann.event((event) => event.type === 'chat.posted' && event.message.text === 'alone', 'alone');
    }
    await cluster.edge(0).ready();

    await lost.restart();
    for (const room of [before, during]) {
      await waitFor(`both edges to listen to ${room}`, async () =>
        askServer(lost.url, async (redis) => {
          const reply = await redis.call('PUBSUB', 'SHARDNUMSUB', channelOf(room));
          return Array.isArray(reply) && reply[1] === cluster.edges.length;
        }),
      );
    }
    await talk(old, 'after');
    await talk(fresh, 'after');
  });
});

describe('two edges on a primary that Sentinels name', () => {
  let cluster: TestCluster<TestRedisSentinel>;
  afterEach(async () => cluster.stop());

  it('[ST7] [KY4] are ready again after a failover, people see each other, and what was lost of running meetings is repaired', async () => {
    cluster = await TestCluster.startOn(await startRedisSentinel(), { edges: 2, mediaNodes: 1 });
    const [ann, bob] = await meet(cluster, 'before');
    await talk([ann, bob], 'before');
    await cluster.redis.cutReplicasOff();
    // Of this the new primary knows nothing: who joined, what was said, and who left.
    const cem = await cluster.client(1);
    const cems = await cem.join('before', { displayName: 'Cem' });
    await cem.publish(cems.media, 'cem');
    await talk([ann, bob], 'lost');
    await bob.call('leave', {});
    await ann.event((event) => event.type === 'peer.left', 'Bob left');
    const left = bob.noticesOf('event').length;

    await cluster.redis.killPrimary();
    // How long each is without it is up to the Sentinels: what it says of it stays.
    for (const edge of cluster.edges) await edge.logged('the store is away');
    // Nobody could renew a lease meanwhile: the media node announces itself again.
    await waitFor(
      'the media node',
      async () =>
        cluster.store.isAvailable() &&
        (await cluster.store.registry.liveMediaNodes().catch(() => [])).length === 1,
      // Sentinels do nothing for half a minute each time that they stood still for two seconds (TILT).
      150_000,
    );
    for (const edge of cluster.edges) await edge.ready();
    await waitFor('Cem to be there and Bob to be gone', async () => {
      const { roomLog } = cluster.store;
      const { peers } = await roomLog.rosterPage(testRoom('before'), '').catch(() => ({ peers: [] }));
      return peers.map(({ displayName }) => displayName).join() === 'Ann,Cem';
    });
    await waitFor('the room to be whole', async () => (await cluster.standing('before')) === 'whole');
    for (const client of [ann, cem]) {
      const reply = await client.call('sync', { afterEventId: '5-5' });
      if (reply.type !== 'snapshot') throw new Error('a snapshot was asked for');
      expect(reply.room.peers.map(({ displayName }) => displayName)).toEqual(['Ann', 'Cem']);
      expect(reply.room.tracks).toHaveLength(1);
      expect(client.isClosed).toBe(false);
    }
    expect(bob.noticesOf('event')).toHaveLength(left);

    const people = await meet(cluster, 'after');
    await waitFor('both edges to listen', async () =>
      askServer(cluster.redis.replicaUrl, async (redis) => {
        const reply = await redis.call('PUBSUB', 'SHARDNUMSUB', channelOf('after'));
        return Array.isArray(reply) && reply[1] === cluster.edges.length;
      }),
    );
    await talk(people, 'after');
    await expectNoRefusal([cluster.redis.replicaUrl]);
  }, 400_000);
});
