/** Stores that are there before they can serve, for tests of what is started first. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './ports.ts';
import { waitFor } from './wait-for.ts';
import { askServer, RedisProcess, ServerFolder, volatileServer } from './redis-process.ts';

/** So that some thousand keys take a minute to load, while the server answers. */
const SLOWLY = ['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024'];
const KEYS = 3_000;
const VALUE = 'x'.repeat(100);
const NAME = 'plenary';

/** A Redis that loads its data for longer than anybody needs to notice it. */
export interface SlowRedis {
  readonly url: string;
  readonly port: number;
  /** Starts it. Settles when it has loaded. */
  load(): Promise<void>;
  /** Has it load the rest at once. */
  hurry(): Promise<void>;
  stop(): Promise<void>;
}

/** It does not run until it is told to {@link SlowRedis.load}. */
export async function startSlowRedis(): Promise<SlowRedis> {
  const folder = await ServerFolder.create();
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const server = await RedisProcess.start(folder, [...volatileServer(port), ...SLOWLY]);
  await askServer(url, async (redis) => {
    await redis.mset(Object.fromEntries(Array.from({ length: KEYS }, (_, index) => [`key-${index}`, VALUE])));
    await redis.save();
  });
  await server.kill();
  return { url, port, load: () => server.restart(), hurry: () => hurry(url), stop: () => folder.end() };
}

/** Has a server load the rest of its data at once. */
async function hurry(url: string): Promise<void> {
  await waitFor('the server to hear that it is to hurry', async () => {
    // The client waits until the server has loaded, unless it is told not to.
    const redis = new Redis(url, { lazyConnect: true, retryStrategy: null, enableReadyCheck: false });
    redis.on('error', () => undefined);
    try {
      await redis.connect();
      return (await redis.config('SET', 'key-load-delay', '0')) === 'OK';
    } catch {
      // It has not begun to listen yet.
      return false;
    } finally {
      redis.disconnect();
    }
  });
}

/** A Sentinel that monitors nothing yet. */
export interface BlindSentinel {
  /** The environment variables of a process that is to use it. */
  readonly settings: Readonly<Record<string, string>>;
  /** Tells it of a primary on loopback. */
  monitor(port: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startBlindSentinel(): Promise<BlindSentinel> {
  const folder = await ServerFolder.create();
  const port = await freePort();
  const file = join(folder.path, 'sentinel.conf');
  await writeFile(file, `port ${port}\nbind 127.0.0.1\n`);
  await RedisProcess.start(folder, [file, '--sentinel']);
  return {
    settings: {
      PLENARY_REDIS_SENTINELS: `127.0.0.1:${port}`,
      PLENARY_REDIS_SENTINEL_NAME: NAME,
    },
    monitor: async (primaryPort) => {
      await askServer(`redis://127.0.0.1:${port}`, async (redis) =>
        redis.call('SENTINEL', 'MONITOR', NAME, '127.0.0.1', String(primaryPort), '1'),
      );
    },
    stop: () => folder.end(),
  };
}
