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

it('[HL13] they say so, go on with the meeting, and hear each other as soon as they have it again', async () => {
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
  expect((await readiness()).reasons).toEqual(['pubsub_unavailable']);
  expect(await cluster.edge(0).metric('plenary_edge_pubsub_trouble', 'access_denied')).toBe(1);
  expect(await ann.refusal('track.pause', { trackId, paused: true })).toBe('ok');
  const said = cluster
    .edge(0)
    .output.split('\n')
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
