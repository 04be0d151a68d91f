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
import type { TestStore } from './redis-server.ts';
import { waitFor } from './wait-for.ts';

const NAME = 'plenary';
const SENTINELS = 3;
/** Short, so that a test of a failover takes seconds. */
const DOWN_AFTER_MS = 1_000;
const FAILOVER_TIMEOUT_MS = 5_000;

/** A primary with one replica, and three Sentinels that fail over within seconds. */
export interface TestRedisSentinel extends TestStore {
  /** The server that was the primary at the start. */
  readonly primaryUrl: string;
  readonly replicaUrl: string;
  killPrimary(): Promise<void>;
  /** From here on the replica learns nothing of what the primary is told: a failover loses it. */
  cutReplicaOff(): Promise<void>;
}

export async function startRedisSentinel(): Promise<TestRedisSentinel> {
  const folder = await ServerFolder.create();
  try {
    const [primaryPort, replicaPort] = [await freePort(), await freePort()];
    const primary = await RedisProcess.start(folder, guardedServer(primaryPort));
    await RedisProcess.start(folder, [
      ...guardedServer(replicaPort),
      ...['--replicaof', `127.0.0.1 ${primaryPort}`, '--repl-diskless-sync-delay', '0'],
    ]);
    const replicaUrl = guardedUrl(replicaPort);
    await waitFor('the replica to follow', async () =>
      askServer(replicaUrl, async (redis) =>
        (await redis.info('replication')).includes('master_link_status:up'),
      ),
    );
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
      cutReplicaOff: async () => {
        // Nobody listens there; what the replica has it keeps.
        await askServer(replicaUrl, (redis) => redis.replicaof('127.0.0.1', 1));
      },
      stop: () => folder.end(),
    };
  } catch (error) {
    await folder.end();
    throw error;
  }
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
  await Promise.all(
    sentinels.map(async ({ id, port }) => {
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `sentinel myid ${id}`,
        `sentinel monitor ${NAME} 127.0.0.1 ${primaryPort} 2`,
        `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
        `requirepass ${TEST_REDIS_PASSWORD}`,
        `sentinel auth-pass ${NAME} ${TEST_REDIS_PASSWORD}`,
        `sentinel failover-timeout ${NAME} ${FAILOVER_TIMEOUT_MS}`,
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
        return quorum.startsWith('OK 3') && replicas === '1';
      }),
    );
  }
  return sentinels.map(({ port }) => port);
}
