import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoreAddress } from '../redis/store-address.ts';
import { freePort } from './ports.ts';
import {
  askServer,
  guardedServer,
  guardedUrl,
  RedisProcess,
  ServerFolder,
  TEST_REDIS_PASSWORD,
} from './redis-process.ts';
import type { StoreLogin, TestStore } from './redis-server.ts';
import { userOf, usersConfiguration } from './redis-users.ts';
import { waitFor } from './wait-for.ts';

const MASTERS = 3;
const SLOTS = 16_384;
/** What operators are given is what is tested. Redis writes into it: each server has its own copy. */
const CLUSTER_CONF = new URL('../../../deploy/redis/cluster.conf', import.meta.url);

export interface TestMaster {
  readonly url: string;
  /** Kills it as a crash would; `restart` brings it back empty, with its slots. */
  kill(): Promise<void>;
  /** Waits until the whole cluster knows it again. */
  restart(): Promise<void>;
  /** Has it hang: it keeps its connections, takes new ones, and answers nothing. */
  pause(): void;
  goOn(): void;
}

/**
 * A real Redis Cluster of three masters; each serves its slots whether or not the others live. With the settings in
 * `deploy/redis`, but that masters without replicas take writes, and write nothing to disk.
 */
export interface TestRedisCluster extends TestStore {
  readonly masters: readonly TestMaster[];
  /** The master that serves a key's slot. */
  masterOf(key: string): Promise<TestMaster>;
}

/**
 * Starts three masters, gives each a third of the slots, and waits until each takes the cluster for whole.
 * @param replicas - how many replicas each master has; where any has some, all have the shipped `min-replicas-to-write`
 */
export async function startRedisCluster(
  replicas: readonly [number, number, number] = [0, 0, 0],
): Promise<TestRedisCluster> {
  const folder = await ServerFolder.create();
  try {
    const isReplicated = replicas.some((count) => count > 0);
    const start = async (index: number): Promise<Member> => startMember(folder, index, isReplicated);
    const members = await Promise.all(Array.from({ length: MASTERS }, async (_, index) => start(index)));
    const followers = await Promise.all(
      members.flatMap((master, index) =>
        Array.from({ length: replicas[index] ?? 0 }, async () => ({ master, follower: await start(index) })),
      ),
    );
    await joinTogether(members, followers);
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

/** A replica, and whom it follows. */
interface Following {
  readonly master: Member;
  readonly follower: Member;
}

async function startMember(folder: ServerFolder, index: number, isReplicated: boolean): Promise<Member> {
  const [port, busPort] = [await freePort(), await freePort()];
  const conf = join(folder.path, `redis-${port}.conf`);
  await writeFile(conf, `${await readFile(CLUSTER_CONF, 'utf8')}\n${await usersConfiguration()}`);
  const server = await RedisProcess.start(folder, [
    conf,
    ...guardedServer(port),
    ...(isReplicated ? [] : ['--min-replicas-to-write', '0']),
    ...['--cluster-config-file', `nodes-${port}.conf`, '--cluster-port', String(busPort)],
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

async function joinTogether(members: readonly Member[], followers: readonly Following[]): Promise<void> {
  for (const [index, member] of members.entries()) {
    await askServer(member.url, async (redis) => {
      await redis.cluster('ADDSLOTSRANGE', member.firstSlot, member.lastSlot);
      // Each has an epoch of its own from the start, so that nothing is left to be agreed on.
      await redis.cluster('SET-CONFIG-EPOCH', index + 1);
    });
  }
  const [first, ...others] = [...members, ...followers.map(({ follower }) => follower)];
  if (first === undefined) throw new Error('no member');
  await askServer(first.url, async (redis) => {
    for (const { port, busPort } of others) await redis.call('CLUSTER', 'MEET', '127.0.0.1', port, busPort);
  });
  const all = [...members, ...followers.map(({ follower }) => follower)];
  await untilWhole(all, all.length);
  for (const { master, follower } of followers) {
    const id = await askServer(master.url, async (redis) => String(await redis.cluster('MYID')));
    await askServer(follower.url, async (redis) => redis.call('CLUSTER', 'REPLICATE', id));
    await waitFor('the replica to follow', async () =>
      askServer(follower.url, async (redis) =>
        (await redis.info('replication')).includes('master_link_status:up'),
      ),
    );
  }
}

async function untilWhole(members: readonly Member[], known: number): Promise<void> {
  for (const { url } of members) {
    await waitFor(`${url} to take the cluster for whole`, async () =>
      askServer(url, async (redis) => {
        const info = String(await redis.cluster('INFO'));
        return (
          info.includes('cluster_state:ok') &&
          info.includes(`cluster_slots_ok:${SLOTS}`) &&
          info.includes(`cluster_known_nodes:${known}`)
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
      await untilWhole(members, members.length);
    },
    pause: () => server.pause(),
    goOn: () => server.goOn(),
  }));
  const address: StoreAddress = {
    kind: 'cluster',
    nodes: members.map(({ port }) => ({ host: '127.0.0.1', port })),
    username: undefined,
    password: TEST_REDIS_PASSWORD,
    tls: false,
  };
  const settings = {
    PLENARY_REDIS_CLUSTER: members.map(({ port }) => `127.0.0.1:${port}`).join(','),
    PLENARY_REDIS_PASSWORD: TEST_REDIS_PASSWORD,
  };
  return {
    address,
    settings,
    as: (kind): StoreLogin => {
      const { username, password } = userOf(kind);
      return {
        address: { ...address, username, password },
        settings: { ...settings, PLENARY_REDIS_USERNAME: username, PLENARY_REDIS_PASSWORD: password },
      };
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
