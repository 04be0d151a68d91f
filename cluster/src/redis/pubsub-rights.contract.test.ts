/** Pub/sub that Redis refuses for a while, or that leads elsewhere than commands. */
import { afterEach, describe, expect, it } from 'vitest';
import { startRedisCluster } from '../testing/redis-cluster.ts';
import { startRedisSentinel } from '../testing/redis-sentinel.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import type { TestStore } from '../testing/redis-server.ts';
import { askServer } from '../testing/redis-process.ts';
import { connectPubSubPair } from '../testing/pubsub-pair.ts';
import { SilentRelay } from '../testing/silent-relay.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { StoreAddress } from './store-address.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const CHANNELS = Array.from({ length: 8 }, (_, index) => `plenary:channel-${index}`);

async function connect(address: StoreAddress): ReturnType<typeof connectPubSubPair> {
  const pair = await connectPubSubPair(address, CHANNELS);
  stops.push(() => pair.store.close());
  return pair;
}

/** An address that leads to one Redis, and can be led to another. */
async function movableAddress() {
  const [old, next] = [await startRedisServer(), await startRedisServer()];
  stops.push(
    () => old.stop(),
    () => next.stop(),
  );
  const relay = await SilentRelay.to(old.port);
  stops.push(() => relay.close());
  const address: StoreAddress = { kind: 'single', url: `redis://127.0.0.1:${relay.port}` };
  return { old, next, relay, address };
}

interface Kind {
  readonly kind: string;
  readonly start: () => Promise<{ readonly store: TestStore; readonly urls: readonly string[] }>;
}

const KINDS: readonly Kind[] = [
  {
    kind: 'one Redis',
    start: async () => {
      const store = await startRedisServer();
      return { store, urls: [store.url] };
    },
  },
  {
    kind: 'a primary behind Sentinels',
    start: async () => {
      const store = await startRedisSentinel();
      return { store, urls: [store.primaryUrl] };
    },
  },
  {
    kind: 'a Redis Cluster',
    start: async () => {
      const store = await startRedisCluster();
      return { store, urls: store.masters.map(({ url }) => url) };
    },
  },
];

describe('a user that loses its channels at run time', () => {
  it.each(KINDS)('[HL13] on $kind hears again as soon as it has them again', async ({ start }) => {
    const { store, urls } = await start();
    stops.push(() => store.stop());
    const { reaches } = await connect(store.as('edge').address);
    await waitFor('messages to arrive', () => reaches('before'));
    const change = async (...rights: readonly string[]): Promise<void> => {
      for (const url of urls)
        await askServer(url, async (redis) => redis.call('ACL', 'SETUSER', 'plenary-edge', ...rights));
    };
    await change('resetchannels');
    const refused = async (): Promise<boolean> => {
      const logs = await Promise.all(
        urls.map(async (url) => askServer(url, async (redis) => redis.call('ACL', 'LOG', '100'))),
      );
      return logs.every((log) => JSON.stringify(log).includes('cmd=ssubscribe'));
    };
    await waitFor('Redis to refuse subscriptions', refused);
    expect(await reaches('refused')).toBe(false);
    await change('&plenary:*');
    await waitFor('messages to arrive', () => reaches('after'));
  });
});

describe('a user that lacks one of its channels', () => {
  it.each(KINDS)('[HL54] on $kind loses nothing of the others', async ({ start }) => {
    const { store, urls } = await start();
    stops.push(() => store.stop());
    const askAll = async (...command: readonly [string, ...string[]]): Promise<string> => {
      const answers = await Promise.all(
        urls.map(async (url) => askServer(url, async (redis) => redis.call(...command))),
      );
      return answers.map(String).join('\n');
    };
    await askAll('ACL', 'SETUSER', 'plenary-edge', 'resetchannels', '&plenary:channel-*');
    const { publisher, subscriber, reaches } = await connect(store.as('edge').address);
    await waitFor('messages to arrive', () => reaches('before'));
    const connections = async (): Promise<readonly string[]> =>
      [...(await askAll('CLIENT', 'LIST')).matchAll(/^id=\d+ addr=\S+ (?=.*user=plenary-edge )/gm)]
        .map(([client]) => client)
        .sort();
    const subscriptions = async (kind: 'calls' | 'rejected_calls'): Promise<number> => {
      const said = await askAll('INFO', 'commandstats');
      return [...said.matchAll(new RegExp(`cmdstat_ssubscribe:.*?\\b${kind}=(\\d+)`, 'g'))]
        .map(([, count]) => Number(count))
        .reduce((total, count) => total + count, 0);
    };
    const before = { connections: await connections(), subscriptions: await subscriptions('calls') };
    expect(before.subscriptions).toBe(CHANNELS.length);
    const refusals = await subscriptions('rejected_calls');
    subscriber.subscribe('plenary:refused');
    const receivers = new Set<unknown>();
    await waitFor('the refused channel to be asked for six times', async () => {
      for (const channel of CHANNELS) {
        // On a machine that stands still for a moment there is no answer in time.
        const answer = await publisher.publish(channel, 'meanwhile').catch(() => undefined);
        if (answer !== undefined) receivers.add(answer);
      }
      return (await subscriptions('rejected_calls')) >= refusals + 6;
    });
    expect(subscriber.trouble()).toBe('access_denied');
    expect(receivers).toEqual(new Set([1]));
    expect(await connections()).toEqual(before.connections);
    expect(await subscriptions('calls')).toBe(before.subscriptions);
    await askAll('ACL', 'SETUSER', 'plenary-edge', '&plenary:*');
    await waitFor('the refused one to be had', async () => subscriber.trouble() === undefined);
  });
});

describe('an address that leads to another Redis', () => {
  it('[HL50] has pub/sub follow what commands go to', async () => {
    const { old, next, relay, address } = await movableAddress();
    const { reaches, publish, hears } = await connect(address);
    await waitFor('messages to arrive', () => reaches('before'));
    relay.moveTo(next.port);
    // The old one lives on as a replica, and keeps its connections.
    await askServer(old.url, async (redis) => redis.replicaof('127.0.0.1', next.port));
    const other = await connect({ kind: 'single', url: next.url });
    await waitFor('those who are at the new one to be heard', async () => {
      await other.publish('from the other');
      return hears('from the other');
    });
    await waitFor('those who are at the new one to hear', async () => {
      await publish('to the other');
      return other.hears('to the other');
    });
  });

  it('[HL55] has commands follow where the old one goes on, and takes no writes', async () => {
    const { old, next, relay, address } = await movableAddress();
    const { store } = await connect(address);
    relay.moveTo(next.port);
    await askServer(old.url, async (redis) => redis.config('SET', 'min-replicas-to-write', '1'));
    await waitFor('the refusal to be noticed', () => store.trouble() === 'too_few_replicas');
    await waitFor('the other one to be found', () => store.isAvailable());
  });
});
