/** A node that no client reaches: a real worker, and peers whose ICE checks are lost. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { metricSum } from './testing/metric-values.ts';
import { checkCandidate } from './testing/stun.ts';
import type { TestEdge } from './testing/test-edge.ts';
import { TestPeer, TestNodeStore, connectEdge, startTestNode, testRoom } from './testing/test-node.ts';
import type { TestNode } from './testing/test-node.ts';

const store = new TestNodeStore();
let node: TestNode;
let edge: TestEdge;
beforeAll(async () => {
  node = await startTestNode(store);
  edge = await connectEdge(node);
});
afterAll(async () => {
  edge.close();
  await node.node.stop();
});

const isPassedOver = async (): Promise<boolean | undefined> =>
  (await store.registry.liveMediaNodes())[0]?.isUnreached;

describe('a node that nobody reaches', () => {
  it('[HL7] [HL34] is detected by two people without a path, reported, and cleared as soon as one connects', async () => {
    const ann = await TestPeer.admit(store, node, edge, testRoom('room'));
    await waitFor('the edge to hear of Ann', () => edge.notices('peer.unreached').length === 1);
    expect(edge.notices('peer.unreached')).toEqual([ann.placed]);
    expect(node.node.readiness().reasons).toEqual([]);

    const bob = await TestPeer.admit(store, node, edge, testRoom('room'));
    await waitFor('the edge to hear of Bob', () => edge.notices('peer.unreached').length === 2);
    expect(node.node.readiness()).toMatchObject({ ready: false, reasons: ['media_unreached'] });
    await waitFor('the registry to say it', async () => (await isPassedOver()) === true);
    expect(await metricSum(node.node.metrics, 'plenary_media_unreached')).toBe(1);
    expect(await metricSum(node.node.metrics, 'plenary_media_unreached_peers_total')).toBe(2);

    // An edge that resumes the session is notified too.
    await edge.call('peer.attach', bob.placed);
    await waitFor('the edge to hear it again', () => edge.notices('peer.unreached').length === 3);

    const offer = bob.admitted?.receiveTransport;
    const candidate = offer?.iceCandidates[0];
    if (offer === undefined || candidate === undefined) throw new Error('Bob has a transport');
    await checkCandidate(offer, candidate);
    await waitFor('the node to be ready', () => node.node.readiness().ready);
    await waitFor('the registry to say it', async () => (await isPassedOver()) === false);
    expect(await metricSum(node.node.metrics, 'plenary_media_unreached')).toBe(0);
  });
});
