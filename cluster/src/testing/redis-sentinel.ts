import { randomBytes } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  askServer,
  freePort,
  guardedUrl,
  RedisProcess,
  ServerFolder,
  TEST_REDIS_PASSWORD,
} from './redis-process.ts';
import type { TestStore } from './redis-server.ts';
import { waitFor } from './wait-for.ts';

const NAME = 'plenary';
const SENTINELS = 3;
const REPLICAS = 2;
/** What operators are given is what is tested. */
const SHIPPED = new URL('../../../deploy/redis/', import.meta.url);
const REPLICATED_CONF = new URL('replicated.conf', SHIPPED);
const SENTINEL_CONF = new URL('sentinel.conf', SHIPPED);

/** A primary with two replicas and three Sentinels, with the settings in `deploy/redis`. */
export interface TestRedisSentinel extends TestStore {
  /** The server that was the primary at the start. */
  readonly primaryUrl: string;
  /** The replica that takes over. */
  readonly replicaUrl: string;
  killPrimary(): Promise<void>;
  /**
   * From here on the replicas learn nothing of what the primary is told: a failover loses it. The primary takes writes all
   * the same, as it does for `min-replicas-max-lag`, but without end, so that no test depends on being fast.
   */
  cutReplicasOff(): Promise<void>;
}

export async function startRedisSentinel(): Promise<TestRedisSentinel> {
  const folder = await ServerFolder.create();
  try {
    const primaryPort = await freePort();
    const primary = await RedisProcess.start(folder, await replicatedServer(folder, primaryPort));
    const replicaUrls: string[] = [];
    for (let index = 0; index < REPLICAS; index += 1) {
      const port = await freePort();
      await RedisProcess.start(folder, [
        ...(await replicatedServer(folder, port)),
        ...['--replicaof', `127.0.0.1 ${primaryPort}`],
        // The first one takes over; the other is there so that the new primary has one.
        ...['--replica-priority', String(100 * (index + 1))],
      ]);
      replicaUrls.push(guardedUrl(port));
    }
    for (const url of replicaUrls) {
      await waitFor('the replica to follow', async () =>
        askServer(url, async (redis) => (await redis.info('replication')).includes('master_link_status:up')),
      );
    }
    const [replicaUrl = ''] = replicaUrls;
    const ports = await startSentinels(folder, primaryPort);
    return {
      address: {
        kind: 'sentinel',
        name: NAME,
        sentinels: ports.map((port) => ({ host: '127.0.0.1', port })),
        sentinelUsername: undefined,
        sentinelPassword: TEST_REDIS_PASSWORD,
        username: undefined,
        password: TEST_REDIS_PASSWORD,
        tls: false,
      },
      settings: {
        PLENARY_REDIS_SENTINELS: ports.map((port) => `127.0.0.1:${port}`).join(','),
        PLENARY_REDIS_SENTINEL_NAME: NAME,
        PLENARY_REDIS_SENTINEL_PASSWORD: TEST_REDIS_PASSWORD,
        PLENARY_REDIS_PASSWORD: TEST_REDIS_PASSWORD,
      },
      primaryUrl: guardedUrl(primaryPort),
      replicaUrl,
      killPrimary: () => primary.kill(),
      cutReplicasOff: async () => {
        await askServer(guardedUrl(primaryPort), (redis) => redis.config('SET', 'min-replicas-to-write', 0));
        // Nobody listens there; what the replicas have they keep.
        for (const url of replicaUrls) await askServer(url, (redis) => redis.replicaof('127.0.0.1', 1));
      },
      stop: () => folder.end(),
    };
  } catch (error) {
    await folder.end();
    throw error;
  }
}

/** Arguments of a server with a copy of the shipped file: at a failover Redis writes into it. */
async function replicatedServer(folder: ServerFolder, port: number): Promise<readonly string[]> {
  const conf = join(folder.path, `redis-${port}.conf`);
  await copyFile(REPLICATED_CONF, conf);
  const login = ['--requirepass', TEST_REDIS_PASSWORD, '--masterauth', TEST_REDIS_PASSWORD];
  const files = ['--appenddirname', `append-only-${port}`, '--dbfilename', `dump-${port}.rdb`];
  return [conf, '--port', String(port), '--bind', '127.0.0.1', ...login, ...files];
}

interface Sentinel {
  readonly id: string;
  readonly port: number;
}

/** Starts Sentinels that know each other from their files: learning it by themselves takes them seconds. */
async function startSentinels(folder: ServerFolder, primaryPort: number): Promise<readonly number[]> {
  const sentinels: Sentinel[] = [];
  for (let index = 0; index < SENTINELS; index += 1)
    sentinels.push({ id: randomBytes(20).toString('hex'), port: await freePort() });
  const shipped = await readFile(SENTINEL_CONF, 'utf8');
  await Promise.all(
    sentinels.map(async ({ id, port }) => {
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `sentinel myid ${id}`,
        `sentinel monitor ${NAME} 127.0.0.1 ${primaryPort} 2`,
        `requirepass ${TEST_REDIS_PASSWORD}`,
        `sentinel auth-pass ${NAME} ${TEST_REDIS_PASSWORD}`,
        shipped,
        ...sentinels
          .filter((other) => other.id !== id)
          .map((other) => `sentinel known-sentinel ${NAME} 127.0.0.1 ${other.port} ${other.id}`),
      ];
      const file = join(folder.path, `sentinel-${port}.conf`);
      await writeFile(file, `${lines.join('\n')}\n`);
      await RedisProcess.start(folder, [file, '--sentinel']);
    }),
  );
  for (const { port } of sentinels) {
    await waitFor(`the Sentinel on ${port} to be able to fail over`, async () =>
      askServer(guardedUrl(port), async (redis) => {
        const quorum = await redis.call('SENTINEL', 'CKQUORUM', NAME).then(String, () => '');
        const [, replicas] = /slaves=(\d+)/.exec(await redis.info('sentinel')) ?? [];
        return quorum.startsWith('OK 3') && replicas === String(REPLICAS);
      }),
    );
  }
  return sentinels.map(({ port }) => port);
}
