import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openServer } from './client.ts';
import { freePort } from '../testing/ports.ts';
import { RedisProcess, ServerFolder, TEST_REDIS_PASSWORD, volatileServer } from '../testing/redis-process.ts';
import { startRedisSentinel } from '../testing/redis-sentinel.ts';
import type { TestRedisSentinel } from '../testing/redis-sentinel.ts';
import { edge, mediaNode, peer, request, room } from '../testing/samples.ts';
import { connectTestStore } from '../testing/store-contracts.ts';
import { waitFor } from '../testing/wait-for.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function startServer(folder: ServerFolder, ...more: readonly string[]): Promise<number> {
  const port = await freePort();
  await RedisProcess.start(folder, [...volatileServer(port), ...more]);
  return port;
}

/** A Sentinel that alone believes another server to be the primary of that name. */
async function startSentinel(
  folder: ServerFolder,
  primary: number,
  password = TEST_REDIS_PASSWORD,
): Promise<number> {
  const port = await freePort();
  const file = join(folder.path, `sentinel-${port}.conf`);
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `sentinel monitor plenary 127.0.0.1 ${primary} 5`,
    `requirepass ${password}`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  await RedisProcess.start(folder, [file, '--sentinel']);
  return port;
}

interface WrongSentinel {
  readonly names: string;
  readonly start: (folder: ServerFolder, servers: TestRedisSentinel) => Promise<number>;
}

const WRONG: readonly WrongSentinel[] = [
  {
    names: 'a server of another password',
    start: async (folder) =>
      startSentinel(folder, await startServer(folder, '--requirepass', 'that-of-somebody-else')),
  },
  {
    names: 'a primary that was cut off, and takes no writes',
    start: async (folder) =>
      startSentinel(
        folder,
        await startServer(folder, '--requirepass', TEST_REDIS_PASSWORD, '--min-replicas-to-write', '1'),
      ),
  },
  {
    names: 'a replica',
    start: async (folder, servers) => startSentinel(folder, Number(new URL(servers.replicaUrl).port)),
  },
  {
    names: 'an address that nobody listens at',
    start: async (folder) => startSentinel(folder, await freePort()),
  },
  {
    names: 'nobody to who has this password',
    start: async (folder, servers) =>
      startSentinel(folder, Number(new URL(servers.primaryUrl).port), 'that-of-somebody-else'),
  },
  {
    names: 'nobody, being no Sentinel',
    start: async (folder) => startServer(folder, '--requirepass', TEST_REDIS_PASSWORD),
  },
];

describe('Sentinels of which the first one is wrong', () => {
  it.each(WRONG)(
    '[ST7] [HL13] that names $names does not keep a process from the primary',
    async ({ start }) => {
      const servers = await startRedisSentinel();
      stops.push(() => servers.stop());
      const folder = await ServerFolder.create();
      stops.push(() => folder.end());
      const { address } = servers;
      if (address.kind !== 'sentinel') throw new Error('not found by Sentinels');
      const wrong = { host: '127.0.0.1', port: await start(folder, servers) };
      const store = await connectTestStore({ ...address, sentinels: [wrong, ...address.sentinels] });
      stops.push(() => store.close());
      const placed = await store.placements.placePeer({
        roomId: room('standup'),
        peerId: peer('ann'),
        requestId: request('r1'),
        edgeId: edge('edge-a'),
        mediaNodeId: mediaNode('node-a'),
        maxPeers: 10,
      });
      expect(placed.epoch).toBeGreaterThan(0);
    },
  );

  it('[ST7] [HL13] is asked again where it is the only one, and never told as none that can be reached', async () => {
    const folder = await ServerFolder.create();
    stops.push(() => folder.end());
    const refusing = await startServer(folder, '--requirepass', 'that-of-somebody-else');
    const port = await startSentinel(folder, refusing);
    const redis = openServer(
      {
        kind: 'sentinel',
        name: 'plenary',
        username: undefined,
        password: TEST_REDIS_PASSWORD,
        tls: false,
        sentinelUsername: undefined,
        sentinelPassword: TEST_REDIS_PASSWORD,
        sentinels: [{ host: '127.0.0.1', port }],
      },
      'test',
    );
    stops.push(() => redis.disconnect());
    const told: string[] = [];
    redis.on('error', ({ message }) => {
      told.push(message);
      // As the watch does after a refusal.
      redis.disconnect(true);
    });
    await waitFor('the server to have refused four times', () => told.length >= 4);
    expect(told.filter((message) => message.includes('All sentinels'))).toEqual([]);
  });
});
