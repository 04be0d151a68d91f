import { afterEach, describe, expect, it } from 'vitest';
import { connectPubSubPair } from '../testing/pubsub-pair.ts';
import { startRedisCluster } from '../testing/redis-cluster.ts';
import { startRedisSentinel } from '../testing/redis-sentinel.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import { SilentRelay } from '../testing/silent-relay.ts';
import { edgeRecord } from '../testing/samples.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { NatMap, StoreAddress } from './store-address.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function relayTo(port: number): Promise<SilentRelay> {
  const relay = await SilentRelay.to(port);
  stops.push(() => relay.close());
  return relay;
}

const local = (port: number) => ({ host: '127.0.0.1', port });

/** @throws Error for one Redis, which names no addresses */
function withMap(address: StoreAddress, natMap: NatMap): StoreAddress {
  if (address.kind === 'single') throw new Error('one Redis has no map');
  return { ...address, natMap };
}

interface Setup {
  readonly address: StoreAddress;
  readonly relays: readonly SilentRelay[];
}

async function single(): Promise<Setup> {
  const server = await startRedisServer();
  stops.push(() => server.stop());
  const relay = await relayTo(server.port);
  return { address: { kind: 'single', url: `redis://127.0.0.1:${relay.port}` }, relays: [relay] };
}

async function sentinel(): Promise<Setup> {
  const servers = await startRedisSentinel();
  stops.push(() => servers.stop());
  const { port } = new URL(servers.primaryUrl);
  const relay = await relayTo(Number(port));
  const natMap = { [`127.0.0.1:${port}`]: local(relay.port) };
  return { address: withMap(servers.address, natMap), relays: [relay] };
}

async function cluster(): Promise<Setup> {
  const servers = await startRedisCluster();
  stops.push(() => servers.stop());
  const ports = servers.masters.map(({ url }) => Number(new URL(url).port));
  const relays = await Promise.all(ports.map(relayTo));
  const natMap = Object.fromEntries(
    ports.map((port, index) => [`127.0.0.1:${port}`, local(relays[index]?.port ?? 0)]),
  );
  return { address: withMap(servers.address, natMap), relays };
}

describe('connections that were cut without a word', () => {
  it.each([
    { kind: 'one Redis', start: single },
    { kind: 'a primary behind Sentinels', start: sentinel },
    { kind: 'a Redis Cluster', start: cluster },
  ])('[HL2] [HL3] of $kind are replaced, for commands and for pub/sub', async ({ start }) => {
    const { address, relays } = await start();
    const channels = Array.from({ length: 8 }, (_, index) => `channel-${index}`);
    const { store, publisher, reaches } = await connectPubSubPair(address, channels);
    stops.push(() => store.close());
    await waitFor('messages to arrive', () => reaches('before'));

    const lost = relays.reduce((sum, relay) => sum + relay.lose(), 0);
    expect(lost).toBeGreaterThanOrEqual(3);
    // Once one was late, nobody waits for the next ones.
    await expect(publisher.publish('channel-0', 'late')).rejects.toThrow(/no answer/);
    await expect(publisher.publish('channel-0', 'later')).rejects.toThrow(/does not answer|away/);
    // Whoever gave a connection up made a new one.
    await waitFor('every lost connection to be given up', () =>
      relays.every((relay) => relay.heldOnTo === 0),
    );
    await waitFor('commands to be answered', async () =>
      store.registry.announceEdge(edgeRecord('edge-a'), 60_000).then(
        () => true,
        () => false,
      ),
    );
    await waitFor('messages to arrive', () => reaches('after'));
    await waitFor('the store to count as available', () => store.isAvailable());
  });
});
