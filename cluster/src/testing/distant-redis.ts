import { DistantRelay } from './distant-relay.ts';
import { loginTo, startRedisServer } from './redis-server.ts';
import type { TestRedis } from './redis-server.ts';
import { urlOfUser } from './redis-users.ts';

/** How far it is to the store in tests of the distance, in milliseconds each way. */
export const STORE_DISTANCE_MS = 30;

/** A real Redis that is reached over a distance. What a test does to the server itself goes straight to it. */
export async function startDistantRedis(): Promise<TestRedis> {
  const server = await startRedisServer();
  const relay = await DistantRelay.to(server.port, STORE_DISTANCE_MS);
  return {
    ...server,
    ...loginTo(`redis://127.0.0.1:${relay.port}`),
    as: (kind) => loginTo(urlOfUser(kind, relay.port)),
    stop: async () => {
      relay.close();
      await server.stop();
    },
  };
}
