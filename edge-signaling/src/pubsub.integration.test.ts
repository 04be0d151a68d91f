import { Redis } from 'ioredis';
import { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KeyRing } from '@plenary/cluster';
import { TEST_CLUSTER_SECRET } from './testing/edge-process.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';
import { PublicationSeal } from './transport/publication-seal.ts';

let cluster: TestCluster;
let stranger: Redis;
beforeAll(async () => {
  cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
  stranger = new Redis(cluster.redis.url);
});
afterAll(async () => {
  stranger.disconnect();
  await cluster.stop();
});

const SEAL = new PublicationSeal(KeyRing.derive([TEST_CLUSTER_SECRET], 'publication'));
const everybody = { rooms: [], except: [], flags: {} };
const nested = '['.repeat(6_000) + ']'.repeat(6_000);

/** What Socket.IO's adapter would do for whoever may publish. */
const MESSAGES: readonly (string | Buffer)[] = [
  '',
  '{',
  'null',
  '{}',
  '{"data":null}',
  Buffer.from([0xc1]),
  Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]),
  Buffer.alloc(1_000, 0x91),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13].map((type) => JSON.stringify({ uid: 'x', nsp: '/', type })),
  JSON.stringify({ uid: 'x', nsp: '/', type: 6, data: { opts: everybody, close: true } }),
  JSON.stringify({ uid: 'x', nsp: '/', type: 7, data: { opts: everybody, requestId: 'r' } }),
  JSON.stringify({
    uid: 'x',
    nsp: '/',
    type: 4,
    data: { opts: everybody, rooms: ['plenary-meeting-room:meeting'] },
  }),
  JSON.stringify({ uid: 'x', nsp: '/', type: 3, data: { opts: everybody, packet: { type: 1 } } }),
  JSON.stringify({
    uid: 'x',
    nsp: '/',
    type: 3,
    data: { opts: everybody, requestId: 'r', packet: { type: 2, data: ['bye', {}] } },
  }),
  JSON.stringify({ uid: 'x', nsp: '/', type: 9, data: { packet: ['connection', {}] } }),
  JSON.stringify({ uid: 'x', nsp: '/', type: 9, data: { packet: ['error', 'x'] } }),
  JSON.stringify({
    uid: 'x',
    nsp: '/',
    type: 9,
    data: { packet: ['edge.message', { type: 'sessions.attached' }] },
  }),
  `{"uid":"x","nsp":"/","type":9,"data":{"packet":["edge.message",${nested}]}}`,
  `{"uid":"x","nsp":"/","type":3,"data":{"opts":{"rooms":["r"],"except":[]},"packet":{"type":2,"data":["x",${nested}]}}}`,
];

describe('garbage on the channels of the store', () => {
  it('[EN10] ends no edge, closes no socket, and meetings over two edges go on', async () => {
    const [ann, bob] = [await cluster.client(0), await cluster.client(1)];
    await ann.join('meeting');
    await bob.join('meeting');
    const channels = z.array(z.string()).parse(await stranger.call('PUBSUB', 'SHARDCHANNELS'));
    expect(channels.length).toBeGreaterThan(2);
    // Also by somebody who has the cluster's secret, past the seal.
    for (const channel of channels)
      for (const message of MESSAGES) {
        await stranger.spublish(channel, message);
        await stranger.spublish(channel, SEAL.seal(channel, message));
      }
    for (const edge of cluster.edges) {
      for (const kind of ['kind="publication"', 'kind="foreign_publication"'])
        await waitFor(
          `${edge.id} to have heard all of it`,
          async () =>
            (await edge.metric('plenary_edge_malformed_records_total', kind)) >= MESSAGES.length - 5,
        );
      expect(edge.exitCode).toBeNull();
      expect(await edge.metric('plenary_edge_entry_faults_total', 'pubsub')).toBe(0);
    }
    expect(ann.isClosed || bob.isClosed).toBe(false);
    await ann.call('chat.post', { requestId: 'c', text: 'all is well' });
    await bob.event((event) => event.type === 'chat.posted', 'chat over two edges');
  });
});
