import { afterAll, beforeAll, expect, test } from 'vitest';
import { mintIncarnation } from '@plenary/cluster';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { z } from 'zod';
import { metricSum } from '../testing/metric-values.ts';
import type { TestEdge } from '../testing/test-edge.ts';
import { connectEdge, startTestNode, TestNodeStore } from '../testing/test-node.ts';
import type { TestNode } from '../testing/test-node.ts';

const store = new TestNodeStore();
let testNode: TestNode;
beforeAll(async () => {
  testNode = await startTestNode(store);
});
afterAll(async () => {
  await testNode.node.stop();
});

interface WebSocketOfNode {
  pause(): void;
  send(text: string): void;
}
function isWebSocketOfNode(ws: unknown): ws is WebSocketOfNode {
  const has = (method: 'pause' | 'send'): boolean =>
    typeof ws === 'object' && ws !== null && typeof Reflect.get(ws, method) === 'function';
  return has('pause') && has('send');
}
const ENGINE = z.object({
  transport: z.object({ ws: z.unknown() }),
  _pingTimeoutTimer: z.unknown(),
});
const PONG = '3';

/** The WebSocket of a link in a half-hung process: it reads nothing and keeps sending signs of life. */
function hangHalf(caller: TestEdge): WebSocketOfNode {
  const { transport, _pingTimeoutTimer: silence } = ENGINE.parse(caller.socket.io.engine);
  const { ws } = transport;
  if (!isWebSocketOfNode(ws)) throw new Error('not a WebSocket of Node');
  // It must not report pings that it does not read as missing. A timer as a number is its id.
  clearTimeout(Number(silence));
  Object.assign(caller.socket.io.engine, { _hasPingExpired: () => false });
  ws.pause();
  return ws;
}

const openLinks = async (): Promise<number> =>
  metricSum(testNode.node.metrics, 'plenary_media_control_links');

test('[CL16] a caller that answers pings but reads nothing loses its link, and no other caller does', async () => {
  const other = await connectEdge(testNode, {
    kind: 'edge',
    id: 'edge-other',
    incarnation: mintIncarnation(),
  });
  const hanging = await connectEdge(testNode);
  const ws = hangHalf(hanging);
  const pongs = setInterval(() => ws.send(PONG), 500);
  const asking = setInterval(() => {
    // Each refusal has a long answer.
    for (let count = 0; count < 1_000; count += 1) hanging.raw('peer.admit', {}).catch(() => undefined);
  }, 50);
  try {
    await waitFor('the link to be closed', async () => (await openLinks()) === 1, 100_000);
  } finally {
    clearInterval(pongs);
    clearInterval(asking);
    hanging.close();
  }
  await expect(other.raw('nothing', {})).resolves.toMatchObject({ error: { code: 'unknown_message' } });
  other.close();
});
