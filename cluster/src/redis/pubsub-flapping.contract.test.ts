import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { silentLogger } from '../process/logging.ts';
import { askServer } from '../testing/redis-process.ts';
import { startRedisCluster } from '../testing/redis-cluster.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import { waitFor } from '../testing/wait-for.ts';
import { connectClusterStore } from './connect.ts';
import type { ClusterStore } from './connect.ts';
import type { StoreAddress } from './store-address.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Waits until it has a store that serves. */
async function storeAt(address: StoreAddress): Promise<ClusterStore> {
  const store = connectClusterStore({
    address,
    namespace: DEFAULT_NAMESPACE,
    connectionName: 'ended',
    logger: silentLogger(),
  });
  stops.push(() => store.close());
  await waitFor('the store', () => store.isAvailable());
  return store;
}

/** @param url - of the server that the channel goes through */
async function expectEndedIsNone(store: ClusterStore, url: string): Promise<void> {
  const heard: string[] = [];
  const connection = store.duplicate('sub', () => undefined);
  connection.onMessage((_, message) => heard.push(message.toString()));
  connection.subscribe('channel');
  await askServer(url, async (redis) => {
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
}

describe('a pub/sub connection that is ended again and again', () => {
  it('[HL52] by Redis is none, until it stays', async () => {
    const server = await startRedisServer();
    stops.push(() => server.stop());
    await expectEndedIsNone(await storeAt({ kind: 'single', url: server.url }), server.url);
  });

  it('[HL52] by a master of a Redis Cluster is none, until it stays', async () => {
    const cluster = await startRedisCluster();
    stops.push(() => cluster.stop());
    const store = await storeAt(cluster.address);
    await expectEndedIsNone(store, (await cluster.masterOf('channel')).url);
  });
});

it('[HL52] a master of a Redis Cluster that is away, or hangs, is no such connection', async () => {
  const cluster = await startRedisCluster();
  stops.push(() => cluster.stop());
  const store = await storeAt(cluster.address);
  const master = await cluster.masterOf('channel');
  const troubles: unknown[] = [];
  store.onPubSubTrouble((trouble) => troubles.push(trouble));
  store.duplicate('sub', () => undefined).subscribe('channel');
  await waitFor('it to subscribe', async () =>
    askServer(
      master.url,
      async (redis) => String(await redis.call('PUBSUB', 'SHARDNUMSUB', 'channel')) === 'channel,1',
    ),
  );
  const losses = async (): Promise<void> => {
    await waitFor('the loss to be found', () => store.trouble() !== undefined);
    // As many looks as a connection has that flaps.
    for (let look = 0; look < 8; look += 1) await new Promise((resolve) => setTimeout(resolve, 1_000));
  };
  master.pause();
  await losses();
  master.goOn();
  await waitFor('the store to be whole', () => store.trouble() === undefined);
  await master.kill();
  await losses();
  expect(troubles.filter((trouble) => trouble !== undefined)).toEqual([]);
});
