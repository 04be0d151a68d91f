import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoreAddress } from '../redis/store-address.ts';
import { freePort } from './ports.ts';
import { askServer, RedisProcess, ServerFolder, volatileServer } from './redis-process.ts';
import { urlOfUser, usersConfiguration } from './redis-users.ts';
import type { UserKind } from './redis-users.ts';

/** How somebody logs in to a store. */
export interface StoreLogin {
  readonly address: StoreAddress;
  /** The environment variables of a process that is to use it. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A store of any kind that a test started, of real servers on loopback, on ports of its own. By its own login one may do everything. */
export interface TestStore extends StoreLogin {
  /** As a process of that kind, by the user that is shipped for it. */
  as(kind: UserKind): StoreLogin;
  stop(): Promise<void>;
}

/** A real Redis that a test started: with nothing written to disk. */
export interface TestRedis extends TestStore {
  readonly url: string;
  readonly port: number;
  /** Kills it as a crash would; `restart` brings an empty one back on the same port. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Has it hang: it keeps its connections and answers nothing. */
  pause(): void;
  goOn(): void;
  /** Puts a folder where it would save to, so that it cannot. */
  obstructSaves(): Promise<void>;
  /** Forgets everything, by `FLUSHALL`. */
  flush(): Promise<void>;
  /** Keeps what is there now. @returns brings it back, as a failover does that lost what was written since */
  keep(): Promise<() => Promise<void>>;
}

/** Starts a real Redis and waits until it answers. @throws Error with its output when it does not start */
export async function startRedisServer(): Promise<TestRedis> {
  const port = await freePort();
  const folder = await ServerFolder.create();
  const configuration = join(folder.path, 'users.conf');
  await writeFile(configuration, await usersConfiguration());
  const server = await RedisProcess.start(folder, [configuration, ...volatileServer(port)]);
  const url = `redis://127.0.0.1:${port}`;
  return {
    url,
    port,
    ...loginTo(url),
    as: (kind) => loginTo(urlOfUser(kind, port)),
    kill: () => server.kill(),
    restart: () => server.restart(),
    pause: () => server.pause(),
    goOn: () => server.goOn(),
    obstructSaves: async () => mkdir(join(folder.path, 'dump.rdb')),
    flush: async () => {
      await askServer(url, async (redis) => redis.flushall());
    },
    keep: async () => {
      const kept = await askServer(url, async (redis) => {
        const keys = await redis.keys('*');
        return Promise.all(keys.map(async (key) => [key, await redis.dumpBuffer(key)] as const));
      });
      return async () => {
        await askServer(url, async (redis) => {
          const change = redis.multi().flushall();
          for (const [key, value] of kept) change.restore(key, 0, value);
          await change.exec();
        });
      };
    },
    stop: () => folder.end(),
  };
}

export function loginTo(url: string): StoreLogin {
  return { address: { kind: 'single', url }, settings: { REDIS_URL: url } };
}
