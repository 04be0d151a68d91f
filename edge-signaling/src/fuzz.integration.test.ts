import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import { fuzz, fuzzLives, fuzzOptions } from '@plenary/cluster/testing/frame-fuzz';
import type { FuzzLife } from '@plenary/cluster/testing/frame-fuzz';
import { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RawSocket } from './testing/raw-socket.ts';
import { joinRequest } from './testing/test-client.ts';
import type { TestClient } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

const FRAMES = 10_000;
const HEAP_GROWTH_BYTES = 64 * 1_048_576;
const UNLIMITED = { PLENARY_SOCKETS_PER_ADDRESS: '100000', PLENARY_CONNECTS_PER_ADDRESS: '100000' };

let cluster: TestCluster;
/** Two people in a meeting, who must notice nothing. */
let ann: TestClient;
let bob: TestClient;
let joinFrame: string;

/** Starts what a run needs: anew after one that ended the edge, so that the least that ends it can be found. */
async function meet(): Promise<void> {
  const last = cluster.edges.at(-1);
  if (last === undefined || last.exitCode !== null)
    await cluster.addEdge(`edge-${cluster.edges.length + 1}`, UNLIMITED);
  const index = cluster.edges.length - 1;
  [ann, bob] = [await cluster.client(index), await cluster.client(index)];
  await ann.join('meeting');
  await bob.join('meeting');
  joinFrame = `420["join",${JSON.stringify(await joinRequest('fuzzed'))}]`;
}

beforeAll(async () => {
  cluster = await TestCluster.start({ edges: 0, mediaNodes: 1 });
  await meet();
});
afterAll(async () => cluster.stop());

const edge = () => cluster.edge(cluster.edges.length - 1);

async function liveOne(life: FuzzLife, joins: boolean): Promise<void> {
  const raw = await RawSocket.open(edge().url);
  if (life.enters) await raw.enterNamespace();
  if (life.enters && joins) raw.send(joinFrame);
  for (const frame of life.frames) raw.send(frame);
  if (life.enters) await raw.closedOrAnswering();
  raw.close();
}

async function live(lives: readonly FuzzLife[]): Promise<void> {
  if (edge().exitCode !== null) await meet();
  await Promise.all(
    lives.map(async (life, index) => {
      // One of four has a token and is in a room.
      await liveOne(life, index % 4 === 0);
    }),
  );
  if (edge().exitCode !== null) throw new Error('The edge has ended.');
  for (const person of [ann, bob]) await person.call('edge.check', {});
  const faults = await edge().metric('plenary_edge_entry_faults_total');
  if (faults > 0) throw new Error(`A fault at an entry: ${edge().output.slice(-3_000)}`);
}

/** The fields of all requests: what a handler may look at. */
const FIELDS = [
  ...new Set(
    Object.values(CLIENT_REQUESTS).flatMap(({ payload }) =>
      payload instanceof z.ZodObject ? Object.keys(payload.shape) : [],
    ),
  ),
  '__proto__',
];

describe('any frames at all', () => {
  it('[EN7] end no edge, and nobody in a meeting notices', { timeout: 600_000 }, async () => {
    const heap = async (): Promise<number> => edge().metric('nodejs_heap_size_used_bytes');
    const before = await heap();
    const options = fuzzOptions(FRAMES);
    const sent = await fuzz(fuzzLives(Object.keys(CLIENT_REQUESTS), FIELDS), options, live);
    expect(sent).toBeGreaterThanOrEqual(options.frames);
    await waitFor('the sockets to be gone', async () => (await edge().metric('plenary_edge_sockets')) === 2);
    await waitFor('the memory to return', async () => (await heap()) < before + HEAP_GROWTH_BYTES);
    expect(ann.noticesOf('bye')).toEqual([]);
    expect(ann.noticesOf('media.lost')).toEqual([]);
    expect(edge().output).not.toContain('"level":"fatal"');
  });
});
