/** A database that Redis does not select: nothing may be written to another one. */
import { connect } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { silentLogger } from '../process/logging.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import { OddRelay } from '../testing/odd-relay.ts';
import { askServer } from '../testing/redis-process.ts';
import { edgeRecord } from '../testing/samples.ts';
import { waitFor } from '../testing/wait-for.ts';
import { connectClusterStore } from './connect.ts';
import type { ClusterStore } from './connect.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function open(url: string): ClusterStore {
  const store = connectClusterStore({
    address: { kind: 'single', url },
    namespace: DEFAULT_NAMESPACE,
    connectionName: 'database',
    logger: silentLogger(),
  });
  stops.push(() => store.close());
  return store;
}

const keysIn = async (url: string): Promise<readonly string[]> =>
  askServer(url, async (redis) => redis.keys('*'));

it('[NS8] one that does not exist is away, and says so', async () => {
  const server = await startRedisServer();
  stops.push(() => server.stop());
  const store = open(`${server.url}/99`);
  await waitFor('the cause', () => store.trouble() === 'no_database');
  expect(store.isAvailable()).toBe(false);
  await store.registry.announceEdge(edgeRecord('edge-a'), 60_000).catch(() => undefined);
  expect(await keysIn(server.url)).toEqual([]);
});

it('[NS8] one that was not selected since Redis was busy is selected before anything is written', async () => {
  const server = await startRedisServer();
  stops.push(() => server.stop());
  const relay = await OddRelay.to(server.port);
  stops.push(() => relay.close());
  const store = open(`redis://127.0.0.1:${relay.port}/5`);
  await waitFor('the store', () => store.isAvailable());
  await askServer(server.url, async (redis) => redis.config('SET', 'busy-reply-threshold', '10'));
  const busy = askServer(server.url, async (redis) =>
    redis.eval('while true do end', 0).catch(() => undefined),
  );
  await waitFor('Redis to be busy', () => store.trouble() === 'busy');
  relay.cut();
  await waitFor('it to be connected to again', async () => relay.carried > 1 && store.trouble() === 'busy');
  // A client that asks more than this first is refused.
  connect(server.port, '127.0.0.1').end('SCRIPT KILL\r\n');
  await busy;
  await waitFor('the store', () => store.isAvailable());
  await store.registry.announceEdge(edgeRecord('edge-a'), 60_000);
  expect(await keysIn(server.url)).toEqual([]);
  expect(await keysIn(`${server.url}/5`)).not.toEqual([]);
});
