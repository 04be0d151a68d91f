import type { StoreAddress } from '../redis/store-address.ts';
import { freePort, RedisProcess, ServerFolder, volatileServer } from './redis-process.ts';

export { freePort } from './redis-process.ts';

/** A store of any kind that a test started, of real servers on loopback, on ports of its own. */
export interface TestStore {
  readonly address: StoreAddress;
  /** The environment variables of a process that is to use it. */
  readonly settings: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** A real Redis that a test started: with nothing written to disk. */
export interface TestRedis extends TestStore {
  readonly url: string;
  readonly port: number;
  /** Kills it as a crash would; `restart` brings an empty one back on the same port. */
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/** Starts a real Redis and waits until it answers. @throws Error with its output when it does not start */
export async function startRedisServer(): Promise<TestRedis> {
  const port = await freePort();
  const folder = await ServerFolder.create();
  const server = await RedisProcess.start(folder, volatileServer(port));
  const url = `redis://127.0.0.1:${port}`;
  return {
    url,
    port,
    address: { kind: 'single', url },
    settings: { REDIS_URL: url },
    kill: () => server.kill(),
    restart: () => server.restart(),
    stop: () => folder.end(),
  };
}
