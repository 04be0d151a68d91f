import type { StoreAddress } from '../redis/store-address.ts';
import {
  askServer,
  freePort,
  guardedServer,
  guardedUrl,
  RedisProcess,
  ServerFolder,
  TEST_REDIS_PASSWORD,
} from './redis-process.ts';
import type { TestStore } from './redis-server.ts';
import { waitFor } from './wait-for.ts';

const MASTERS = 3;
const SLOTS = 16_384;
/** Long enough for a busy machine; no test waits for it. */
const NODE_TIMEOUT_MS = 5_000;

export interface TestMaster {
  readonly url: string;
  /** Kills it as a crash would; `restart` brings it back empty, with its slots. */
  kill(): Promise<void>;
  /** Waits until the whole cluster knows it again. */
  restart(): Promise<void>;
}

/** A real Redis Cluster of three masters without replicas; each serves its slots whether or not the others live. */
export interface TestRedisCluster extends TestStore {
  readonly masters: readonly TestMaster[];
  /** The master that serves a key's slot. */
  masterOf(key: string): Promise<TestMaster>;
}

/** Starts three masters, gives each a third of the slots, and waits until each takes the cluster for whole. */
export async function startRedisCluster(): Promise<TestRedisCluster> {
  const folder = await ServerFolder.create();
  try {
    const members = await Promise.all(
      Array.from({ length: MASTERS }, async (_, index) => startMember(folder, index)),
    );
    await joinTogether(members);
    return describeCluster(folder, members);
  } catch (error) {
    await folder.end();
    throw error;
  }
}

interface Member {
  readonly port: number;
  readonly busPort: number;
  readonly url: string;
  readonly server: RedisProcess;
  readonly firstSlot: number;
  readonly lastSlot: number;
}

async function startMember(folder: ServerFolder, index: number): Promise<Member> {
  const [port, busPort] = [await freePort(), await freePort()];
  const server = await RedisProcess.start(folder, [
    ...guardedServer(port),
    ...['--cluster-enabled', 'yes', '--cluster-config-file', `nodes-${index}.conf`],
    ...['--cluster-port', String(busPort), '--cluster-node-timeout', String(NODE_TIMEOUT_MS)],
    ...['--cluster-require-full-coverage', 'no'],
  ]);
  return {
    port,
    busPort,
    url: guardedUrl(port),
    server,
    firstSlot: Math.ceil((index * SLOTS) / MASTERS),
    lastSlot: Math.ceil(((index + 1) * SLOTS) / MASTERS) - 1,
  };
}

async function joinTogether(members: readonly Member[]): Promise<void> {
  for (const [index, member] of members.entries()) {
    await askServer(member.url, async (redis) => {
      await redis.cluster('ADDSLOTSRANGE', member.firstSlot, member.lastSlot);
      // Each has an epoch of its own from the start, so that nothing is left to be agreed on.
      await redis.cluster('SET-CONFIG-EPOCH', index + 1);
    });
  }
  const [first, ...others] = members;
  if (first === undefined) throw new Error('no member');
  await askServer(first.url, async (redis) => {
    for (const { port, busPort } of others) await redis.call('CLUSTER', 'MEET', '127.0.0.1', port, busPort);
  });
  await untilWhole(members);
}

async function untilWhole(members: readonly Member[]): Promise<void> {
  for (const { url } of members) {
    await waitFor(`${url} to take the cluster for whole`, async () =>
      askServer(url, async (redis) => {
        const info = String(await redis.cluster('INFO'));
        return (
          info.includes('cluster_state:ok') &&
          info.includes(`cluster_slots_ok:${SLOTS}`) &&
          info.includes(`cluster_known_nodes:${MASTERS}`)
        );
        // It may be one that is about to start.
      }).catch(() => false),
    );
  }
}

function describeCluster(folder: ServerFolder, members: readonly Member[]): TestRedisCluster {
  const masters = members.map(({ url, server }): TestMaster => ({
    url,
    kill: () => server.kill(),
    restart: async () => {
      await server.restart();
      await untilWhole(members);
    },
  }));
  const address: StoreAddress = {
    kind: 'cluster',
    nodes: members.map(({ port }) => ({ host: '127.0.0.1', port })),
    username: undefined,
    password: TEST_REDIS_PASSWORD,
    tls: false,
  };
  return {
    address,
    settings: {
      PLENARY_REDIS_CLUSTER: members.map(({ port }) => `127.0.0.1:${port}`).join(','),
      PLENARY_REDIS_PASSWORD: TEST_REDIS_PASSWORD,
    },
    masters,
    masterOf: async (key) => {
      const living = await waitFor('a living master', async () => {
        for (const { url } of members) {
          const slot = await askServer(url, (redis) => redis.cluster('KEYSLOT', key)).catch(() => undefined);
          if (slot !== undefined) return { slot };
        }
        return undefined;
      });
      const index = members.findIndex(({ lastSlot }) => living.slot <= lastSlot);
      const master = masters[index];
      if (master === undefined) throw new Error(`no master of slot ${living.slot}`);
      return master;
    },
    stop: () => folder.end(),
  };
}
