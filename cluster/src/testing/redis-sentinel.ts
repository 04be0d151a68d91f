import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  askServer,
  freePort,
  guardedServer,
  guardedUrl,
  RedisProcess,
  ServerFolder,
  TEST_REDIS_PASSWORD,
} from './redis-process.ts';
import type { Launcher } from './redis-process.ts';
import type { TestStore } from './redis-server.ts';
import { waitFor } from './wait-for.ts';

const NAME = 'plenary';
const SENTINELS = 3;

/** Where a server runs and listens. */
export interface ServerPlace {
  readonly host: string;
  readonly port: number;
  readonly through?: Launcher;
}

export interface SentinelOptions {
  /** The first is the primary at the start, the others its replicas; two on loopback by default. */
  readonly servers?: readonly ServerPlace[];
  /** Three, on loopback by default. */
  readonly sentinels?: readonly ServerPlace[];
  /** Settings of every server beside those that every test's have, as in `redis.conf`. */
  readonly serverSettings?: Readonly<Record<string, string>>;
  readonly downAfterMs?: number;
  readonly failoverTimeoutMs?: number;
}

/** A server that can be hurt. */
export interface SentinelServer {
  readonly url: string;
  readonly process: RedisProcess;
}

/** A primary with its replicas, and three Sentinels. */
export interface TestRedisSentinel extends TestStore {
  /** The server that was the primary at the start. */
  readonly primaryUrl: string;
  readonly replicaUrl: string;
  /** In the order of the places. */
  readonly servers: readonly SentinelServer[];
  readonly sentinels: readonly RedisProcess[];
  readonly sentinelUrls: readonly string[];
  /** What the Sentinels call the primary. */
  readonly name: string;
  killPrimary(): Promise<void>;
  /** From here on the replica learns nothing of what the primary is told: a failover loses it. */
  cutReplicaOff(): Promise<void>;
}

/** By default they fail over within a second or two, so that a test of it is short. */
export async function startRedisSentinel(options: SentinelOptions = {}): Promise<TestRedisSentinel> {
  const places = options.servers ?? [await onLoopback(), await onLoopback()];
  const folder = await ServerFolder.create();
  try {
    const servers: SentinelServer[] = [];
    for (const place of places) servers.push(await startServer(folder, place, places[0], options));
    const [primary, replica] = servers;
    if (primary === undefined || replica === undefined) throw new Error('a primary and a replica are needed');
    for (const { url } of servers.slice(1)) {
      await waitFor('the replica to follow', async () =>
        askServer(url, async (redis) => (await redis.info('replication')).includes('master_link_status:up')),
      );
    }
    const { places: sentinels, processes } = await startSentinels(folder, places, options);
    return {
      address: {
        kind: 'sentinel',
        name: NAME,
        sentinels: sentinels.map(({ host, port }) => ({ host, port })),
        sentinelUsername: undefined,
        sentinelPassword: TEST_REDIS_PASSWORD,
        username: undefined,
        password: TEST_REDIS_PASSWORD,
        tls: false,
      },
      settings: {
        PLENARY_REDIS_SENTINELS: sentinels.map(({ host, port }) => `${host}:${port}`).join(','),
        PLENARY_REDIS_SENTINEL_NAME: NAME,
        PLENARY_REDIS_SENTINEL_PASSWORD: TEST_REDIS_PASSWORD,
        PLENARY_REDIS_PASSWORD: TEST_REDIS_PASSWORD,
      },
      primaryUrl: primary.url,
      replicaUrl: replica.url,
      servers,
      sentinels: processes,
      sentinelUrls: sentinels.map(({ host, port }) => guardedUrl(port, host)),
      name: NAME,
      killPrimary: () => primary.process.kill(),
      cutReplicaOff: async () => {
        // Nobody listens there; what the replica has it keeps.
        await askServer(replica.url, (redis) => redis.replicaof('127.0.0.1', 1));
      },
      stop: () => folder.end(),
    };
  } catch (error) {
    await folder.end();
    throw error;
  }
}

async function onLoopback(): Promise<ServerPlace> {
  return { host: '127.0.0.1', port: await freePort() };
}

async function startServer(
  folder: ServerFolder,
  { host, port, through }: ServerPlace,
  primary: ServerPlace | undefined,
  { serverSettings = {} }: SentinelOptions,
): Promise<SentinelServer> {
  const isPrimary = primary === undefined || (primary.host === host && primary.port === port);
  const args = [
    ...guardedServer(port, host),
    // As the others reach it: who relays its connections is not it.
    ...['--replica-announce-ip', host, '--repl-diskless-sync-delay', '0'],
    // Servers share a folder; each writes files of its own.
    ...['--dbfilename', `${host}-${port}.rdb`],
    ...Object.entries(serverSettings).flatMap(([name, value]) => [`--${name}`, value]),
    ...(isPrimary ? [] : ['--replicaof', `${primary.host} ${primary.port}`]),
  ];
  return { url: guardedUrl(port, host), process: await RedisProcess.start(folder, args, through) };
}

/** Starts Sentinels that know each other from their files: learning it by themselves takes them seconds. */
async function startSentinels(
  folder: ServerFolder,
  servers: readonly ServerPlace[],
  { sentinels, downAfterMs = 1_000, failoverTimeoutMs = 5_000 }: SentinelOptions,
): Promise<{ readonly places: readonly ServerPlace[]; readonly processes: readonly RedisProcess[] }> {
  const places = sentinels ?? [];
  const known: (ServerPlace & { readonly id: string })[] = [];
  for (let index = 0; index < SENTINELS; index += 1) {
    known.push({ id: randomBytes(20).toString('hex'), ...(places[index] ?? (await onLoopback())) });
  }
  const processes = await Promise.all(
    known.map(async ({ id, host, port, through }) => {
      const lines = [
        `port ${port}`,
        `bind ${host}`,
        `sentinel announce-ip ${host}`,
        `sentinel myid ${id}`,
        `sentinel monitor ${NAME} ${servers[0]?.host} ${servers[0]?.port} 2`,
        `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
        `requirepass ${TEST_REDIS_PASSWORD}`,
        `sentinel auth-pass ${NAME} ${TEST_REDIS_PASSWORD}`,
        `sentinel failover-timeout ${NAME} ${failoverTimeoutMs}`,
        `sentinel parallel-syncs ${NAME} 1`,
        ...known
          .filter((other) => other.id !== id)
          .map((other) => `sentinel known-sentinel ${NAME} ${other.host} ${other.port} ${other.id}`),
      ];
      const file = join(folder.path, `sentinel-${host}-${port}.conf`);
      await writeFile(file, `${lines.join('\n')}\n`);
      return RedisProcess.start(folder, [file, '--sentinel'], through);
    }),
  );
  for (const { host, port } of known) {
    await waitFor(`the Sentinel on ${host}:${port} to be able to fail over`, async () =>
      askServer(guardedUrl(port, host), async (redis) => {
        const quorum = await redis.call('SENTINEL', 'CKQUORUM', NAME).then(String, () => '');
        const [, replicas] = /slaves=(\d+)/.exec(await redis.info('sentinel')) ?? [];
        return quorum.startsWith('OK 3') && replicas === String(servers.length - 1);
      }),
    );
  }
  return { places: known, processes };
}
