/** Real edges that lose the right to their channels while a meeting goes on. */
import { askServer } from '@plenary/cluster/testing/redis-process';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
afterEach(async () => {
  await cluster.stop();
});

const READINESS = z.object({ reasons: z.array(z.string()), pubSub: z.string().optional() });

it('[HL13] [HL51] they say so, go on with the meeting, and hear each other as soon as they have it again', async () => {
  cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
  const [ann, bob] = [await cluster.client(0), await cluster.client(1)];
  const { media } = await ann.join('rights');
  await bob.join('rights');
  const { trackId } = await ann.publish(media, 'mic');
  const change = async (...rights: readonly string[]): Promise<unknown> =>
    askServer(cluster.redis.url, async (redis) => redis.call('ACL', 'SETUSER', 'plenary-edge', ...rights));
  await change('resetchannels');
  const readiness = async () =>
    READINESS.parse(await (await fetch(`${cluster.edge(0).operatorUrl}/ready`)).json());
  await waitFor('the reason to be said', async () => (await readiness()).pubSub === 'access_denied');
  await waitFor('no other reason', async () => (await readiness()).reasons.join() === 'pubsub_unavailable');
  expect(await cluster.edge(0).status('/ready')).toBe(503);
  const offered = new Set<number>();
  await waitFor('both edges to be known to have it', async () => {
    for (const { url } of cluster.edges) offered.add((await fetch(`${url}/api/ready`)).status);
    return (await cluster.store.registry.liveEdges()).every(({ isPubSubOff }) => isPubSubOff === true);
  });
  for (const { url } of cluster.edges) offered.add((await fetch(`${url}/api/ready`)).status);
  // No edge is better than the other one.
  expect(offered).toEqual(new Set([200]));
  expect(await cluster.edge(0).metric('plenary_edge_pubsub_trouble', 'access_denied')).toBe(1);
  expect(await ann.refusal('track.pause', { trackId, paused: true })).toBe('ok');
  const said = (await cluster.edge(0).logged('does not get through'))
    .split('\n')
    .filter((line) => line.includes('does not get through'));
  expect(said).toHaveLength(1);
  expect(said[0]).toContain('"cause":"access_denied"');
  await change('&plenary:*');
  await waitFor('the edges to be ready', async () => (await readiness()).reasons.length === 0);
  await cluster.edge(1).ready();
  await ann.call('chat.post', { requestId: 'again', text: 'again' });
  await bob.event((event) => event.type === 'chat.posted' && event.message.text === 'again', 'again');
  expect(ann.isClosed || bob.isClosed).toBe(false);
});

it('[HL53] one that lacks its channels alone is passed over for the other', async () => {
  cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
  await askServer(cluster.redis.url, async (redis) =>
    redis.call('ACL', 'SETUSER', 'deaf', 'on', '>secret', '~*', '+@all', 'resetchannels'),
  );
  const deaf = await cluster.addUnreadyEdge('edge-2', {
    REDIS_URL: cluster.redis.url.replace('//', '//deaf:secret@'),
  });
  const offered = async ({ url }: { readonly url: string }): Promise<number> =>
    (await fetch(`${url}/api/ready`)).status;
  await waitFor('the deaf one to be passed over', async () => {
    const { reasons } = READINESS.parse(await (await fetch(`${deaf.operatorUrl}/ready`)).json());
    return reasons.join() === 'pubsub_unavailable' && (await offered(deaf)) === 503;
  });
  expect(await offered(cluster.edge(0))).toBe(200);
  await cluster.edge(0).ready();
  await cluster.edge(0).stop();
  cluster.edges.splice(0, 1);
  await waitFor('the deaf one to be offered as the only one', async () => (await offered(deaf)) === 200);
});
