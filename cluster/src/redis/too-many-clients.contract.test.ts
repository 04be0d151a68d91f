/** A Redis that takes no more connections, and needs no password: its only word is the answer to whatever was sent first. */
import { afterEach, expect, it } from 'vitest';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { silentLogger } from '../process/logging.ts';
import { askServer } from '../testing/redis-process.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import { waitFor } from '../testing/wait-for.ts';
import { connectClusterStore } from './connect.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

it('[HL1] one server with too many clients is away for that reason, and comes back', async () => {
  const server = await startRedisServer();
  stops.push(() => server.stop());
  const store = connectClusterStore({
    address: { kind: 'single', url: server.url },
    namespace: DEFAULT_NAMESPACE,
    connectionName: 'crowded',
    logger: silentLogger(),
  });
  stops.push(() => store.close());
  await waitFor('the store', () => store.isAvailable());
  // One connection stays, since new ones are refused.
  await askServer(server.url, async (redis) => {
    await redis.config('SET', 'maxclients', '1');
    await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await waitFor('the cause', () => store.trouble() === 'too_many_clients');
    expect(store.isAvailable()).toBe(false);
    await redis.config('SET', 'maxclients', '1000');
    await waitFor('the store', () => store.isAvailable());
  });
});
