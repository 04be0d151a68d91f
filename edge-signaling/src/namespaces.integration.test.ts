import { NAMESPACE } from '@plenary/cluster';
import type { Namespace } from '@plenary/cluster';
import { startRedisCluster } from '@plenary/cluster/testing/redis-cluster';
import { loginTo, startRedisServer } from '@plenary/cluster/testing/redis-server';
import type { TestStore } from '@plenary/cluster/testing/redis-server';
import { afterEach, describe, expect, it } from 'vitest';
import { TestCluster } from './testing/test-cluster.ts';
import type { TestClient } from './testing/test-client.ts';
import { waitFor } from './testing/wait-for.ts';

const [ONE, TWO] = [NAMESPACE.parse('one'), NAMESPACE.parse('two')];

/** What a cluster sees of a store that another one uses too, and that neither stops. */
interface Share {
  readonly store: TestStore;
  readonly namespace: Namespace;
}

const shared = (store: TestStore): TestStore => ({ ...store, stop: () => Promise.resolve() });

/** A database of one Redis. */
function databaseOf(url: string, database: number): TestStore {
  const login = loginTo(`${url}/${database}`);
  return { ...login, as: () => login, stop: () => Promise.resolve() };
}

describe('two clusters on one Redis, with the same ids, keys and rooms', () => {
  const ending: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
  });

  async function start({ store, namespace }: Share): Promise<TestCluster<TestStore>> {
    const cluster = await TestCluster.startOn(store, { edges: 1, mediaNodes: 1, namespace });
    ending.push(async () => cluster.stop());
    return cluster;
  }

  const heardBy = (client: TestClient): string[] =>
    client
      .noticesOf('event')
      .flatMap(({ event }) => (event.type === 'chat.posted' ? [event.message.text] : [event.type]));

  /** People of both, who say the same things at the same time. */
  async function expectApart(shares: readonly [Share, Share]): Promise<void> {
    const clusters = [await start(shares[0]), await start(shares[1])] as const;
    for (const cluster of clusters) {
      // Their ids are the same: each registry has its own.
      const urls = (await cluster.store.registry.liveEdges()).map(({ publicUrl }) => publicUrl);
      expect(urls.sort()).toEqual(cluster.edges.map(({ url }) => url).sort());
    }
    const people = await Promise.all(
      clusters.map(async (cluster) => {
        const [ann, bob] = [await cluster.client(0), await cluster.client(0)];
        await ann.join('standup');
        const joined = await bob.join('standup', { displayName: 'Bob' });
        expect(joined.room.peerCount).toBe(2);
        return { ann, bob, session: joined.session, room: joined.room };
      }),
    );
    for (const [index, { ann }] of people.entries())
      await ann.call('chat.post', { requestId: 'c1', text: `cluster ${index}` });
    for (const [index, { ann }] of people.entries())
      await ann.call('chat.post', { requestId: 'c2', text: `cluster ${index} again` });
    for (const [index, { bob }] of people.entries()) {
      await waitFor('the last message', () => heardBy(bob).includes(`cluster ${index} again`));
      expect(heardBy(bob).filter((heard) => heard.startsWith('cluster'))).toEqual([
        `cluster ${index}`,
        `cluster ${index} again`,
      ]);
    }
    // What one tells its edges, and whom it counts, is nothing to the other.
    await people[0]?.bob.call('leave', {});
    await people[0]?.ann.event((event) => event.type === 'peer.left', 'Bob left');
    expect(heardBy(people[1]?.ann ?? expect.unreachable())).not.toContain('peer.left');
    const [, there] = people;
    const { peers } = (await there?.ann.call('roster.page', { cursor: '' })) ?? expect.unreachable();
    expect(peers).toHaveLength(2);
  }

  it('[NS1] namespaces keep them apart on one Redis', async () => {
    const redis = await startRedisServer();
    ending.push(async () => redis.stop());
    await expectApart([
      { store: shared(redis), namespace: ONE },
      { store: shared(redis), namespace: TWO },
    ]);
  });

  it('[NS1] namespaces keep them apart on a Redis Cluster', async () => {
    const redis = await startRedisCluster();
    ending.push(async () => redis.stop());
    await expectApart([
      { store: shared(redis), namespace: ONE },
      { store: shared(redis), namespace: TWO },
    ]);
  });

  it('[NS2] so do the numbers of databases, though pub/sub ignores them', async () => {
    const redis = await startRedisServer();
    ending.push(async () => redis.stop());
    await expectApart([
      { store: databaseOf(redis.url, 0), namespace: ONE },
      { store: databaseOf(redis.url, 3), namespace: ONE },
    ]);
  });

  it('[NS3] a session token of one does not resume in the other, which has the same secret', async () => {
    const redis = await startRedisServer();
    ending.push(async () => redis.stop());
    const [one, two] = [
      await start({ store: shared(redis), namespace: ONE }),
      await start({ store: shared(redis), namespace: TWO }),
    ];
    const [ann, other] = [await one.client(0), await two.client(0)];
    const { session, room } = await ann.join('standup');
    await (await two.client(0)).join('standup');
    const request = await other.resumeRequest(ann, session, room.lastEventId);
    expect(await other.verdict('resume', request)).toBe('token_invalid');
  });
});
