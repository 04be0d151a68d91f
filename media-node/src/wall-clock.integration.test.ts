import { room } from '@plenary/cluster/testing/samples';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { afterEach, expect, test, vi } from 'vitest';
import { TestNodeStore, TestPeer, connectEdge, startTestNode } from './testing/test-node.ts';

const HOUR_MS = 3_600_000;

afterEach(() => {
  vi.restoreAllMocks();
});

test('[HL66] a media node serves on, and takes newcomers, when its wall clock jumps an hour ahead and back', async () => {
  const store = new TestNodeStore();
  const testNode = await startTestNode(store, { leaseMs: 3_000 });
  const edge = await connectEdge(testNode);
  const isReady = async (): Promise<boolean> => (await fetch(`${testNode.config.operatorUrl}/ready`)).ok;
  await waitFor('the node to be ready', isReady);
  const peers = [await TestPeer.admit(store, testNode, edge, room('standup'))];
  const { now } = Date;
  for (const jumpMs of [HOUR_MS, -HOUR_MS]) {
    vi.spyOn(Date, 'now').mockImplementation(() => now() + jumpMs);
    for (const peer of peers) await peer.publish('camera', `camera-${jumpMs}`);
    peers.push(await TestPeer.admit(store, testNode, edge, room('standup')));
    expect(await isReady()).toBe(true);
    vi.restoreAllMocks();
  }
  for (const peer of peers) await peer.leave(store);
  await testNode.node.stop();
  edge.close();
});
