import { expect, test } from 'vitest';
import { room } from '@plenary/cluster/testing/samples';
import { metricSum, untilFreed } from '../testing/metric-values.ts';
import { TestPeer, TestNodeStore, connectEdge, startTestNode } from '../testing/test-node.ts';

test('[TN1] rooms of one name of two tenants have separate routers, and no track of one reaches the other', async () => {
  const store = new TestNodeStore();
  const [home, away] = [await startTestNode(store), await startTestNode(store)];
  const [edge, awayEdge] = [await connectEdge(home), await connectEdge(away)];
  const [acme, other] = [room('standup', 'acme'), room('standup', 'other')];
  const publisher = await TestPeer.admit(store, home, edge, acme);
  const camera = await publisher.publish('camera');

  const here = await TestPeer.admit(store, home, edge, other, [camera]);
  const there = await TestPeer.admit(store, away, awayEdge, other, [camera]);
  for (const { admitted } of [here, there]) {
    expect(admitted?.consumers).toEqual([]);
    expect(admitted?.failed.map(({ trackId }) => trackId)).toEqual([camera.trackId]);
  }
  expect(await metricSum(home.node.metrics, 'plenary_media_routers')).toBe(2);
  expect(await metricSum(home.node.metrics, 'plenary_media_consumers')).toBe(0);
  expect(await metricSum(home.node.metrics, 'plenary_media_pipes')).toBe(0);

  const viewer = await TestPeer.admit(store, away, awayEdge, acme, [camera]);
  expect(viewer.admitted?.consumers.map(({ trackId }) => trackId)).toEqual([camera.trackId]);
  for (const peer of [publisher, here, there, viewer]) await peer.leave(store);
  for (const { node } of [home, away]) {
    await untilFreed(node.metrics);
    await node.stop();
  }
  edge.close();
  awayEdge.close();
});
