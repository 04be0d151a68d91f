/** A node that edges cannot reach: real control links, and edges in the registry. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { edgeRecord } from '@plenary/cluster/testing/samples';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { metricSum } from './testing/metric-values.ts';
import { TestNodeStore, connectEdge, startTestNode } from './testing/test-node.ts';
import type { TestNode } from './testing/test-node.ts';

const LEASE_MS = 600_000;
const store = new TestNodeStore();
let node: TestNode;
beforeAll(async () => {
  node = await startTestNode(store);
});
afterAll(async () => {
  await node.node.stop();
});

describe('a media node that no edge has a control link to', () => {
  it('[HL16] is not ready while edges serve, and is ready with the first link', async () => {
    expect(node.node.readiness()).toEqual({ ready: true, reasons: [] });
    const serving = edgeRecord('edge-a');
    await store.registry.announceEdge(serving, LEASE_MS);
    await waitFor('the node to miss a link', () => !node.node.readiness().ready);
    expect(node.node.readiness()).toEqual({ ready: false, reasons: ['no_edge_link'] });
    expect(await metricSum(node.node.metrics, 'plenary_media_no_edge_link')).toBe(1);

    const edge = await connectEdge(node);
    await waitFor('the node to be ready', () => node.node.readiness().ready);
    expect(await metricSum(node.node.metrics, 'plenary_media_no_edge_link')).toBe(0);
    edge.close();
  });
});
