import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { silentLogger } from '../process/logging.ts';
import { startRedisCluster } from '../testing/redis-cluster.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import { waitFor } from '../testing/wait-for.ts';
import { connectClusterStore } from './connect.ts';
import type { StoreAddress } from './store-address.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Longer than any command or connection is waited for, in milliseconds. */
const STANDSTILL_MS = 2_700;

/** Nothing of this process runs meanwhile, as when it is stopped or its machine is paused; the store goes on. */
function standStill(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STANDSTILL_MS);
}

/** After either a question has left, and at least after one of them nothing of its answer is read yet. */
const nextTick = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function single(): Promise<StoreAddress> {
  const server = await startRedisServer();
  stops.push(() => server.stop());
  return { kind: 'single', url: server.url };
}

async function cluster(): Promise<StoreAddress> {
  const servers = await startRedisCluster();
  stops.push(() => servers.stop());
  return servers.address;
}

describe('a process that stood still', () => {
  it.each([
    { kind: 'one Redis', start: single },
    { kind: 'a Redis Cluster', start: cluster },
  ])(
    '[HL17] takes the answers of $kind that arrived meanwhile, and keeps its connection',
    async ({ start }) => {
      const store = connectClusterStore({
        address: await start(),
        namespace: DEFAULT_NAMESPACE,
        connectionName: 'standstill',
        logger: silentLogger(),
      });
      stops.push(() => store.close());
      await waitFor('the store to be available', () => store.isAvailable());
      const changes: boolean[] = [];
      store.onAvailability((isAvailable) => changes.push(isAvailable));

      for (const leave of [nextTick, nextTurn, nextTick, nextTurn]) {
        const answer = store.timeMs();
        await leave();
        standStill();
        expect(await answer).toBeGreaterThan(0);
      }
      expect(changes).toEqual([]);
    },
  );
});
