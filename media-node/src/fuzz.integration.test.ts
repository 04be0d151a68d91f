import { CONTROL_REQUESTS, watchEntries } from '@plenary/cluster';
import { fuzz, fuzzLives, fuzzOptions } from '@plenary/cluster/testing/frame-fuzz';
import type { FuzzLife } from '@plenary/cluster/testing/frame-fuzz';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { metricSum } from './testing/metric-values.ts';
import type { TestEdge } from './testing/test-edge.ts';
import { connectEdge, startTestNode, testRoom, TestPeer, TestNodeStore } from './testing/test-node.ts';
import type { TestNode } from './testing/test-node.ts';

const FRAMES = 10_000;

const store = new TestNodeStore();
const faults: unknown[] = [];
let testNode: TestNode;
/** A correct edge with a peer, which must not be affected. */
let edge: TestEdge;
let peer: TestPeer;
let stopWatching: () => void;

beforeAll(async () => {
  stopWatching = watchEntries((kind, fault) => faults.push(kind, fault));
  testNode = await startTestNode(store);
  edge = await connectEdge(testNode);
  peer = await TestPeer.admit(store, testNode, edge, testRoom('quiet'));
});
afterAll(async () => {
  edge.close();
  await testNode.node.stop();
  stopWatching();
});

/** An attacker's connection, which has no token. */
async function liveUnproven({ enters, frames }: FuzzLife): Promise<void> {
  const url = `${testNode.config.controlUrl.replace(/^http/, 'ws')}/socket.io/?EIO=4&transport=websocket`;
  const socket = new WebSocket(url);
  let isClosed = false;
  let isOpen = false;
  socket.addEventListener('open', () => {
    isOpen = true;
  });
  socket.addEventListener('close', () => {
    isClosed = true;
  });
  await waitFor('a connection', () => isOpen || isClosed);
  if (enters) socket.send('40{"token":"none"}');
  for (const frame of frames) if (!isClosed) socket.send(frame);
  socket.close();
  await waitFor('the connection to be gone', () => isClosed);
}

/** A faulty edge of the cluster. */
async function liveProven({ frames }: FuzzLife): Promise<void> {
  const mad = await connectEdge(testNode);
  const { engine } = mad.socket.io;
  for (const [index, frame] of frames.entries()) {
    // Engine.IO puts its own digit before the frame. Half of the frames are sent within the seal.
    if (typeof frame !== 'string' || !frame.startsWith('4')) continue;
    if (index % 2 === 0) mad.rawFrame(10_000 + index, frame.slice(1)).catch(ignoreSilence);
    else engine.write(frame.slice(1));
  }
  const end = new Promise((resolve) => mad.socket.once('disconnect', resolve));
  await Promise.race([mad.raw('no.such', {}).catch(ignoreSilence), end]);
  mad.close();
}

/** A frame that is no request gets no answer, and a closed link gets none at all. */
const ignoreSilence = (): undefined => undefined;

async function live(lives: readonly FuzzLife[]): Promise<void> {
  await Promise.all(lives.map((life, index) => (index % 2 === 0 ? liveUnproven(life) : liveProven(life))));
  expect(faults).toEqual([]);
  expect(await edge.call('peer.attach', peer.placed)).toEqual({ alive: true });
}

const FIELDS = [
  ...new Set(
    Object.values(CONTROL_REQUESTS).flatMap(({ payload }: { payload: z.ZodType }) =>
      payload instanceof z.ZodObject ? Object.keys(payload.shape) : [],
    ),
  ),
];

describe('random frames', () => {
  test('[EN7] end no media node and affect no other link', { timeout: 600_000 }, async () => {
    const options = fuzzOptions(FRAMES);
    const sent = await fuzz(fuzzLives(Object.keys(CONTROL_REQUESTS), FIELDS), options, live);
    expect(sent).toBeGreaterThanOrEqual(options.frames);
    const { metrics } = testNode.node;
    await waitFor(
      'the links to be gone',
      async () => (await metricSum(metrics, 'plenary_media_control_links')) === 1,
    );
    expect(await metricSum(metrics, 'plenary_media_peers')).toBe(1);
    await expect(peer.publish('microphone')).resolves.toMatchObject({ kind: 'audio' });
  });
});
