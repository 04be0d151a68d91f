/**
 * Peers whose edge is lost. Each test has its own node: peers that stay so long without a path make a node unreached
 * (SPEC HL7).
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mintIncarnation } from '@plenary/cluster';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { metricSum, untilFreed } from '../testing/metric-values.ts';
import type { TestEdge } from '../testing/test-edge.ts';
import { TestPeer, TestNodeStore, connectEdge, startTestNode, testRoom } from '../testing/test-node.ts';
import type { TestNode } from '../testing/test-node.ts';

/** Longer than a stall of the machine before an edge resumes the peers, and short enough to wait for. */
const GRACE_MS = 5_000;

const store = new TestNodeStore();
let testNode: TestNode;
let edge: TestEdge;

beforeEach(async () => {
  testNode = await startTestNode(store, { orphanGraceMs: GRACE_MS });
  edge = await connectEdge(testNode);
});

afterEach(async () => {
  edge.close();
  await testNode.node.stop();
});

const nothingHeld = (): Promise<void> => untilFreed(testNode.node.metrics);

describe('a peer whose edge is lost', () => {
  test('[CL5] [CL21] peers of a broken link stay for the grace, then another edge resumes them or they leave the roster', async () => {
    const roomId = testRoom('orphans');
    const first = await connectEdge(testNode, { kind: 'edge', id: 'edge-a', incarnation: mintIncarnation() });
    const kept = await TestPeer.admit(store, testNode, first, roomId);
    const lost = await TestPeer.admit(store, testNode, first, roomId);
    first.close();
    await waitFor(
      'two orphans',
      async () => (await metricSum(testNode.node.metrics, 'plenary_media_orphan_peers')) === 2,
    );
    await expect(edge.call('peer.attach', kept.placed)).resolves.toEqual({ alive: true });
    await expect(edge.call('peer.attach', { ...kept.placed, countMedia: true })).resolves.toEqual({
      alive: true,
      sentBytes: 0,
      receivedBytes: 0,
    });
    await waitFor('the orphan to be removed', () =>
      edge
        .notices('room.events')
        .some(({ events }) =>
          events.some(
            ({ event }) =>
              event.type === 'peer.left' &&
              event.peerId === lost.placed.peerId &&
              event.reason === 'connection_lost',
          ),
        ),
    );
    await expect(edge.call('peer.attach', lost.placed)).resolves.toEqual({ alive: false });
    await expect(edge.call('peer.attach', kept.placed)).resolves.toEqual({ alive: true });
    await edge.call('peer.drop', kept.placed);
    await store.roomLog.removePeer(roomId, kept.placed.peerId, kept.placed.epoch, 'left');
    await nothingHeld();
  });

  test('[CL22] a new link of the same incarnation of an edge gets its peers’ notices, and keeps the peers that the edge claims', async () => {
    const caller = { kind: 'edge', id: 'edge-b', incarnation: mintIncarnation() } as const;
    const first = await connectEdge(testNode, caller);
    const roomId = testRoom('again');
    const kept = await TestPeer.admit(store, testNode, first, roomId);
    const forgotten = await TestPeer.admit(store, testNode, first, roomId);
    const track = await kept.publish('microphone');
    first.close();
    await waitFor(
      'two orphans',
      async () => (await metricSum(testNode.node.metrics, 'plenary_media_orphan_peers')) === 2,
    );
    const second = await connectEdge(testNode, caller);
    await waitFor('its track to be told of', () =>
      second.notices('track.demand').some(({ trackId }) => trackId === track.trackId),
    );
    await expect(second.call('peer.attach', kept.placed)).resolves.toEqual({ alive: true });
    await waitFor(
      'the other one to be freed',
      async () => (await metricSum(testNode.node.metrics, 'plenary_media_peers')) === 1,
    );
    await expect(second.call('peer.attach', forgotten.placed)).resolves.toEqual({ alive: false });
    await expect(second.call('peer.attach', kept.placed)).resolves.toEqual({ alive: true });
    await second.call('peer.drop', kept.placed);
    await store.roomLog.removePeer(roomId, kept.placed.peerId, kept.placed.epoch, 'left');
    second.close();
    await nothingHeld();
  });

  test('[SE14] an orphan that is placed elsewhere by now loses only the tracks that it has here', async () => {
    const roomId = testRoom('elsewhere');
    const first = await connectEdge(testNode, { kind: 'edge', id: 'edge-d', incarnation: mintIncarnation() });
    const orphan = await TestPeer.admit(store, testNode, first, roomId);
    await orphan.publish('microphone');
    first.close();
    const moved = await TestPeer.place(store, testNode, edge, roomId, orphan.placed);
    await waitFor(
      'the orphan to be freed',
      async () => (await metricSum(testNode.node.metrics, 'plenary_media_peers')) === 0,
    );
    await waitFor(
      'its track to be ended',
      async () => (await store.placements.view(roomId)).tracks.length === 0,
    );
    expect(await store.placements.placementOf(roomId, moved.placed.peerId)).toMatchObject({
      epoch: moved.placed.epoch,
    });
    await moved.leave(store);
    await nothingHeld();
  });
});
