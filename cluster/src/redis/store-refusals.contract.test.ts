import { afterEach, describe, expect, it } from 'vitest';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { z } from 'zod';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { startRedisCluster } from '../testing/redis-cluster.ts';
import { startRedisSentinel } from '../testing/redis-sentinel.ts';
import { startSlowRedis } from '../testing/early-stores.ts';
import { askServer } from '../testing/redis-process.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import { edge, mediaNode, peer, request, room } from '../testing/samples.ts';
import { waitFor } from '../testing/wait-for.ts';
import { connectClusterStore } from './connect.ts';
import type { ClusterStore } from './connect.ts';
import type { StoreAddress } from './store-address.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const LINE = z.looseObject({ level: z.number(), msg: z.string(), cause: z.string().optional() });
type Line = z.infer<typeof LINE>;

/** What a process says of its store: whole lines. */
function listeningLogger(): { readonly logger: Logger; readonly lines: Line[] } {
  const lines: Line[] = [];
  const write = (line: string): void => {
    lines.push(LINE.parse(JSON.parse(line)));
  };
  return { logger: pino({ level: 'info' }, { write }), lines };
}

async function connect(address: StoreAddress) {
  const { logger, lines } = listeningLogger();
  const store = connectClusterStore({
    address,
    namespace: DEFAULT_NAMESPACE,
    connectionName: 'refused',
    logger,
  });
  const told: boolean[] = [];
  store.onAvailability((available) => told.push(available));
  stops.push(() => store.close());
  return { store, lines, told };
}

const join = async (store: ClusterStore) =>
  store.placements.placePeer({
    roomId: room('standup'),
    peerId: peer('ann'),
    requestId: request('r1'),
    edgeId: edge('edge-a'),
    mediaNodeId: mediaNode('node-a'),
    maxPeers: 10,
  });

const set = async (url: string, settings: Readonly<Record<string, string>>): Promise<void> =>
  askServer(url, async (redis) => {
    for (const [name, value] of Object.entries(settings)) await redis.config('SET', name, value);
  });

/** What the user of the process may do from now on. */
const allow = async (url: string, ...rights: readonly string[]): Promise<unknown> =>
  askServer(url, async (redis) => redis.call('ACL', 'SETUSER', 'default', ...rights));

const away = ({ msg }: Line): boolean => msg.includes('is away');

describe('a store that answers PING and refuses writes', () => {
  it.each([
    {
      cause: 'out_of_memory',
      refuse: async (url: string): Promise<unknown> =>
        set(url, { maxmemory: '1', 'maxmemory-policy': 'noeviction' }),
      takeAgain: async (url: string): Promise<unknown> => set(url, { maxmemory: '0' }),
    },
    {
      cause: 'too_few_replicas',
      refuse: async (url: string): Promise<unknown> => set(url, { 'min-replicas-to-write': '1' }),
      takeAgain: async (url: string): Promise<unknown> => set(url, { 'min-replicas-to-write': '0' }),
    },
    {
      cause: 'read_only',
      // Nobody listens there: a replica that has lost its primary still refuses writes.
      refuse: async (url: string): Promise<unknown> =>
        askServer(url, async (redis) => redis.replicaof('127.0.0.1', 1)),
      takeAgain: async (url: string): Promise<unknown> =>
        askServer(url, async (redis) => redis.replicaof('NO', 'ONE')),
    },
    {
      cause: 'primary_away',
      refuse: async (url: string): Promise<unknown> => {
        await set(url, { 'replica-serve-stale-data': 'no' });
        return askServer(url, async (redis) => redis.replicaof('127.0.0.1', 1));
      },
      takeAgain: async (url: string): Promise<unknown> =>
        askServer(url, async (redis) => redis.replicaof('NO', 'ONE')),
    },
    {
      cause: 'cannot_save',
      refuse: async (url: string): Promise<unknown> => {
        await set(url, { save: '3600 1', 'stop-writes-on-bgsave-error': 'yes' });
        await askServer(url, async (redis) => {
          await redis.set('unsaved', '1');
          await redis.bgsave();
          await waitFor('the save to fail', async () =>
            (await redis.info('persistence')).includes('rdb_last_bgsave_status:err'),
          );
        });
        return undefined;
      },
      takeAgain: async (url: string): Promise<unknown> => set(url, { 'stop-writes-on-bgsave-error': 'no' }),
    },
    ...['~other:*', 'allkeys -hset'].map((rights) => ({
      cause: 'access_denied',
      refuse: async (url: string): Promise<unknown> => allow(url, 'resetkeys', ...rights.split(' ')),
      takeAgain: async (url: string): Promise<unknown> => allow(url, 'allkeys', 'allcommands'),
    })),
  ])(
    '[HL1] [HL18] is away while it does, for the cause $cause, said in one line',
    async ({ cause, refuse, takeAgain }) => {
      const server = await startRedisServer();
      stops.push(() => server.stop());
      await server.obstructSaves();
      const { store, lines, told } = await connect(server.address);
      await waitFor('the store', () => store.isAvailable());
      expect(store.trouble()).toBeUndefined();

      await refuse(server.url);
      await waitFor('the refusal to be noticed', () => store.trouble() === cause);
      expect(store.isAvailable()).toBe(false);
      await expect(join(store)).rejects.toMatchObject({ code: 'store_unavailable', retryable: true });
      // It is looked at several times, and said once.
      await waitFor('more looks', async () => (await probes(server.url)) > 2);
      expect(store.trouble()).toBe(cause);
      // A machine that stands still for a moment has no answer before that.
      const causes = lines.filter(away).map((line) => line.cause);
      expect(causes.filter((said) => said !== 'no_answer')).toEqual([cause]);

      await takeAgain(server.url);
      await waitFor('the return', () => store.isAvailable());
      expect(store.trouble()).toBeUndefined();
      expect(told.slice(-2)).toEqual([false, true]);
      await join(store);
    },
  );

  it('[HL1] [HL18] is unavailable while it loads its data, with this cause', async () => {
    const server = await startSlowRedis();
    stops.push(() => server.stop());
    const loadedAtFirst = server.load();
    await server.hurry();
    await loadedAtFirst;
    const { store, lines } = await connect({ kind: 'single', url: server.url });
    await waitFor('the store', () => store.isAvailable());
    const loaded = server.load();
    await waitFor('it to be noticed', () => store.trouble() === 'loading');
    expect(store.isAvailable()).toBe(false);
    await server.hurry();
    await loaded;
    await waitFor('the return', () => store.isAvailable());
    expect(lines.filter(({ cause }) => cause === 'loading')).toHaveLength(1);
    await join(store);
  });

  it('[HL1] [HL18] is unavailable while a Redis Cluster is down as a whole, with this cause', async () => {
    const cluster = await startRedisCluster();
    stops.push(() => cluster.stop());
    const { store, lines } = await connect(cluster.address);
    await waitFor('the whole store', () => store.trouble() === undefined);
    const [first] = cluster.masters;
    if (first === undefined) throw new Error('no master');
    for (const { url } of cluster.masters) await set(url, { 'cluster-require-full-coverage': 'yes' });
    await askServer(first.url, async (redis) => redis.call('CLUSTER', 'DELSLOTS', '0'));
    await waitFor('it to be noticed', async () => {
      await join(store).catch(() => undefined);
      return store.trouble() === 'slots_away';
    });
    await askServer(first.url, async (redis) => redis.call('CLUSTER', 'ADDSLOTS', '0'));
    await waitFor('the whole store', () => store.trouble() === undefined);
    expect(lines.filter(({ cause }) => cause === 'slots_away')).toHaveLength(1);
    await join(store);
  });

  it('[HL1] is a part of a Redis Cluster where one master refuses', async () => {
    const cluster = await startRedisCluster();
    stops.push(() => cluster.stop());
    const { store, lines, told } = await connect(cluster.address);
    await waitFor('the whole store', () => store.trouble() === undefined);
    const [first] = cluster.masters;
    if (first === undefined) throw new Error('no master');
    await set(first.url, { maxmemory: '1' });
    // What is asked of that master tells of it.
    await waitFor('the refusal to be noticed', async () => {
      for (let index = 0; index < 8; index += 1)
        await store.placements
          .placePeer({
            roomId: room(`room-${index}`),
            peerId: peer('ann'),
            requestId: request('r1'),
            edgeId: edge('edge-a'),
            mediaNodeId: mediaNode('node-a'),
            maxPeers: 10,
          })
          .catch(() => undefined);
      return store.trouble() === 'out_of_memory';
    });
    expect(store.isAvailable()).toBe(true);
    expect(lines.filter(({ cause }) => cause === 'out_of_memory')).toHaveLength(1);
    await set(first.url, { maxmemory: '0' });
    await waitFor('the whole store', () => store.trouble() === undefined);
    expect(told.at(-1)).toBe(true);
  });
});

describe('a store that nobody can use until somebody acts', () => {
  const errors = (lines: readonly Line[]): unknown[] =>
    lines.filter(({ level }) => level === 50).map(({ cause }) => cause);

  it('[HL5] logs a wrong password once, at the start and later', async () => {
    const server = await startRedisServer();
    stops.push(() => server.stop());
    const right = `redis://:right@127.0.0.1:${server.port}`;
    await set(server.url, { requirepass: 'right' });
    const late = await connect({ kind: 'single', url: `redis://:wrong@127.0.0.1:${server.port}` });
    await waitFor('the first refusal', () => late.store.trouble() === 'access_denied');
    const { store, lines } = await connect({ kind: 'single', url: right });
    await waitFor('the store', () => store.isAvailable());
    await askServer(right, async (redis) => {
      await redis.config('SET', 'requirepass', 'changed');
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    });
    await waitFor('the refusal', () => store.trouble() === 'access_denied');
    expect(errors(lines)).toEqual(['access_denied']);
    expect(errors(late.lines)).toEqual(['access_denied']);
  });

  it('[HL5] logs once that the address named by Sentinels is unreachable', async () => {
    const servers = await startRedisSentinel();
    stops.push(() => servers.stop());
    if (servers.address.kind !== 'sentinel') throw new Error('no Sentinels');
    const { port } = new URL(servers.primaryUrl);
    // As a Sentinel in a container names it.
    const natMap = { [`127.0.0.1:${port}`]: { host: '127.0.0.1', port: 1 } };
    const { lines } = await connect({ ...servers.address, natMap });
    await waitFor('the address to be tried', () => lines.some(away));
    await waitFor('somebody to be told', () => errors(lines).length > 0);
    expect(errors(lines)).toEqual(['refused']);
    expect(lines.find(({ cause }) => cause === 'refused')?.['toDo']).toContain('PLENARY_REDIS_NAT_MAP');
  });
});

/** How many scripts the server was asked to run since its statistics were last reset. */
async function probes(url: string): Promise<number> {
  const stats = await askServer(url, async (redis) => redis.info('commandstats'));
  return [...stats.matchAll(/^cmdstat_evalsha:calls=(\d+).*rejected_calls=(\d+)/gm)].reduce(
    (sum, [, calls, rejected]) => sum + Number(calls) + Number(rejected),
    0,
  );
}
