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

it('[HL13] a pub/sub connection that Redis ends again and again is none, until it stays', async () => {
  const server = await startRedisServer();
  stops.push(() => server.stop());
  const store = connectClusterStore({
    address: { kind: 'single', url: server.url },
    namespace: DEFAULT_NAMESPACE,
    connectionName: 'ended',
    logger: silentLogger(),
  });
  stops.push(() => store.close());
  const heard: string[] = [];
  const connection = store.duplicate('sub', () => undefined);
  connection.onMessage((_, message) => heard.push(message.toString()));
  connection.subscribe('channel');
  await waitFor('the store', () => store.isAvailable());
  await askServer(server.url, async (redis) => {
    const hears = async (): Promise<boolean> => {
      await redis.spublish('channel', 'said');
      return heard.length > 0;
    };
    await waitFor('it to hear', hears);
    // As a client-output-buffer-limit does that is too low for what is published.
    const ending = setInterval(() => {
      redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined);
    }, 100);
    try {
      await waitFor('it to be found', () => store.pubSubTrouble() === 'no_connection');
      expect(store.isAvailable()).toBe(true);
    } finally {
      clearInterval(ending);
    }
    heard.length = 0;
    await waitFor('it to be of use again', () => store.pubSubTrouble() === undefined);
    await waitFor('it to hear again', hears);
  });
});
