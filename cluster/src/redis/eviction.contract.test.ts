import { afterEach, expect, it } from 'vitest';
import { pino } from 'pino';
import { z } from 'zod';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { askServer } from '../testing/redis-process.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import { waitFor } from '../testing/wait-for.ts';
import { connectClusterStore } from './connect.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const LINE = z.looseObject({ level: z.number(), policy: z.string().optional(), toDo: z.string().optional() });

it('[HL15] a connecting process logs once that Redis drops keys when its memory is full, with what to do', async () => {
  const server = await startRedisServer();
  stops.push(() => server.stop());
  await askServer(server.url, async (redis) => {
    await redis.config('SET', 'maxmemory-policy', 'volatile-lru');
    await redis.config('SET', 'maxmemory', '1gb');
  });
  const lines: z.infer<typeof LINE>[] = [];
  const store = connectClusterStore({
    address: server.as('media-node').address,
    namespace: DEFAULT_NAMESPACE,
    connectionName: 'evicted',
    logger: pino(
      { level: 'info' },
      {
        write: (line: string) => {
          lines.push(LINE.parse(JSON.parse(line)));
        },
      },
    ),
  });
  stops.push(() => store.close());
  const said = (): typeof lines => lines.filter(({ policy }) => policy === 'volatile-lru');
  await waitFor('the line', () => said().length > 0);
  expect(said()).toMatchObject([{ level: 50, toDo: expect.stringContaining('noeviction') as string }]);
  await askServer(server.url, (redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'));
  await waitFor('the store to be away', () => !store.isAvailable());
  await waitFor('the store', () => store.isAvailable());
  expect(said()).toHaveLength(1);
});
