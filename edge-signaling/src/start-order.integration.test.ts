/** An edge that is started before everything it needs: it waits, says for what, and becomes ready by itself. */
import { startConsulAgent } from '@plenary/cluster/testing/consul-agent';
import { startConsulServers } from '@plenary/cluster/testing/consul-servers';
import { startBlindSentinel, startSlowRedis } from '@plenary/cluster/testing/early-stores';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import type { EdgeProcess } from './testing/edge-process.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

const READINESS = z.object({
  reasons: z.array(z.string()),
  store: z.string().optional(),
  consul: z.string().optional(),
});

let cluster: TestCluster;
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  await cluster.stop();
  for (const stop of stops.splice(0)) await stop();
});

const readinessOf = async ({ operatorUrl }: EdgeProcess) =>
  READINESS.parse(await (await fetch(`${operatorUrl}/ready`)).json());

async function untilReasons(edge: EdgeProcess, reasons: readonly string[]): Promise<void> {
  await waitFor(
    `the edge to wait for nothing but ${reasons.join(', ')}`,
    async () => JSON.stringify((await readinessOf(edge)).reasons) === JSON.stringify(reasons),
  );
}

it('[HL5] before Redis, and before any media node', async () => {
  cluster = await TestCluster.start({ edges: 0, mediaNodes: 0 });
  await cluster.redis.kill();
  const edge = await cluster.addUnreadyEdge('early');
  await untilReasons(edge, ['store_unavailable', 'no_media_node']);
  await edge.logged('"cause":"refused"');
  await waitFor('it to name the cause', async () => (await readinessOf(edge)).store === 'refused');
  expect(await edge.status('/health')).toBe(200);
  await cluster.redis.restart();
  await untilReasons(edge, ['no_media_node']);
  await cluster.addMediaNode('late');
  await edge.ready();
  await (await cluster.client()).join('early');
  expect(edge.exitCode).toBeNull();
});

it('[HL11] while Redis still loads, and while Consul’s servers have no leader yet', async () => {
  const [redis, consul] = [await startSlowRedis(), await startConsulServers(false)];
  stops.push(redis.stop, consul.stop);
  cluster = await TestCluster.start({ edges: 0, mediaNodes: 0 });
  const loaded = redis.load();
  const edge = await cluster.addUnreadyEdge('early', {
    REDIS_URL: redis.url,
    CONSUL_HTTP_ADDR: consul.address,
  });
  await untilReasons(edge, ['store_unavailable', 'consul_unavailable', 'no_media_node']);
  await waitFor('it to say for what it waits', async () => {
    const { store, consul: why } = await readinessOf(edge);
    return store === 'loading' && why === 'no_leader';
  });
  for (const cause of ['loading', 'no_leader']) await edge.logged(`"cause":"${cause}"`);
  await redis.hurry();
  await loaded;
  await untilReasons(edge, ['consul_unavailable', 'no_media_node']);
  await consul.restart();
  await untilReasons(edge, ['no_media_node']);
  expect(edge.exitCode).toBeNull();
});

it('[HL11] while the Sentinels know no primary yet, and then one that still loads', async () => {
  const redis = await startSlowRedis();
  const sentinel = await startBlindSentinel();
  stops.push(redis.stop, sentinel.stop);
  cluster = await TestCluster.start({ edges: 0, mediaNodes: 0 });
  const edge = await cluster.addUnreadyEdge('early', { REDIS_URL: '', ...sentinel.settings });
  await untilReasons(edge, ['store_unavailable', 'no_media_node']);
  const storeIs = async (store: string): Promise<void> => {
    await waitFor(`it to say ${store}`, async () => (await readinessOf(edge)).store === store);
  };
  await storeIs('primary_unnamed');
  await edge.logged('PLENARY_REDIS_SENTINEL_NAME');
  const loaded = redis.load();
  await sentinel.monitor(redis.port);
  await storeIs('loading');
  await redis.hurry();
  await loaded;
  await untilReasons(edge, ['no_media_node']);
  expect(edge.exitCode).toBeNull();
});

it('[HL8] before Consul', async () => {
  const consul = await startConsulAgent();
  stops.push(() => consul.stop());
  await consul.kill();
  cluster = await TestCluster.start({ edges: 0, mediaNodes: 0 });
  const edge = await cluster.addUnreadyEdge('early', { CONSUL_HTTP_ADDR: consul.address });
  await untilReasons(edge, ['consul_unavailable', 'no_media_node']);
  await edge.logged('"cause":"refused"');
  await waitFor('it to name the cause', async () => (await readinessOf(edge)).consul === 'refused');
  await consul.restart();
  // Media nodes announce themselves in Consul, and this test has none there.
  await untilReasons(edge, ['no_media_node']);
  expect(edge.exitCode).toBeNull();
});
