/** Stores that are there before they can serve, for tests of what is started first. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { askServer, RedisProcess, ServerFolder, volatileServer } from './redis-process.ts';

/** So that some hundred keys take seconds to load, while the server answers. */
const SLOWLY = ['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024'];
const KEYS = 300;
const NAME = 'plenary';

/** A Redis that takes six seconds to load its data. */
export interface SlowRedis {
  readonly url: string;
  readonly port: number;
  /** Starts it. Settles when it has loaded. */
  load(): Promise<void>;
  stop(): Promise<void>;
}

/** It does not run until it is told to {@link SlowRedis.load}. */
export async function startSlowRedis(): Promise<SlowRedis> {
  const folder = await ServerFolder.create();
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const server = await RedisProcess.start(folder, [...volatileServer(port), ...SLOWLY]);
  await askServer(url, async (redis) => {
    for (let index = 0; index < KEYS; index += 1) await redis.set(`key-${index}`, 'x'.repeat(100));
    await redis.save();
  });
  await server.kill();
  return { url, port, load: () => server.restart(), stop: () => folder.end() };
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
