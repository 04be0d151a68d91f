import { EDGE_ID, EVENT_ID, REQUEST_ID } from '@plenary/cluster';
import type { HeldPeer, Placement } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { metricSum, untilFreed } from '../testing/metric-values.ts';
import { TestPeer, TestNodeStore, connectEdge, startTestNode, testRoom } from '../testing/test-node.ts';
import type { TestNode } from '../testing/test-node.ts';
import type { TestEdge } from '../testing/test-edge.ts';
import { waitFor } from '@plenary/cluster/testing/wait-for';

const ROOM = testRoom('forgotten');
const START = EVENT_ID.parse('0-0');

let store: TestNodeStore;
let testNode: TestNode;
let edge: TestEdge;
beforeEach(async () => {
  store = new TestNodeStore();
  testNode = await startTestNode(store);
  edge = await connectEdge(testNode);
});
afterEach(async () => {
  edge.close();
  await testNode.node.stop();
});

/** The peer's data at its edge. */
const heldOf = (peer: TestPeer, changes: Partial<HeldPeer> = {}): HeldPeer => ({
  peerId: peer.placed.peerId,
  epoch: peer.placed.epoch,
  holdEpoch: peer.placed.epoch,
  mediaNodeId: testNode.config.mediaNodeId,
  requestId: REQUEST_ID.parse('join'),
  tokenGeneration: 0,
  sequence: 1,
  joinedAtMs: 1,
  role: 'speaker',
  displayName: 'Somebody',
  ...changes,
});

const republishPeer = async (peer: TestPeer): Promise<unknown> =>
  store.memory.recovery.republishPeers(ROOM, EDGE_ID.parse(edge.caller.id), [heldOf(peer)], START);

const storedTracks = async (): Promise<string[]> =>
  (await store.memory.placements.view(ROOM)).tracks.map(({ trackId }) => trackId);

describe('a media node and a store that lost data', () => {
  test('[RC1] its tracks are published again once their peers are, and transports do not change', async () => {
    const peer = await TestPeer.admit(store, testNode, edge, ROOM);
    const track = await peer.publish('camera');
    await edge.call('track.pause', { ...peer.placed, trackId: track.trackId, paused: true });
    const transports = await metricSum(testNode.node.metrics, 'plenary_media_transports');
    store.memory.rooms.clear();
    await republishPeer(peer);
    await waitFor('the track', async () => (await storedTracks()).includes(track.trackId));
    expect(await store.memory.roomLog.tracks(ROOM, [track.trackId])).toMatchObject([{ paused: true }]);
    expect(await metricSum(testNode.node.metrics, 'plenary_media_repairs_total')).toBe(1);
    expect(await metricSum(testNode.node.metrics, 'plenary_media_transports')).toBe(transports);
    expect(await store.memory.recovery.statusOf(ROOM)).toBe('rebuilding');
    await peer.leave(store);
    await untilFreed(testNode.node.metrics);
  });

  test('[RC22] [SE45] the record of a track that it does not host is ended; one that was ended by mistake is published again', async () => {
    const peer = await TestPeer.admit(store, testNode, edge, ROOM);
    const [ghost, camera] = [await peer.publish('microphone'), await peer.publish('camera')];
    const [record] = await store.memory.roomLog.tracks(ROOM, [ghost.trackId]);
    if (record === undefined) throw new Error('it was published');
    await edge.call('track.end', { ...peer.placed, trackId: ghost.trackId });
    // As after a failover that lost the end, and after another edge took the node for dead.
    await store.memory.roomLog.publishTrack(ROOM, record);
    await store.memory.roomLog.endTracks(ROOM, [camera.trackId], 'node_lost');
    await waitFor('the truth', async () => (await storedTracks()).join() === camera.trackId);
    await peer.leave(store);
  });

  test('[RC18] a peer that is placed elsewhere is not published, and is closed after the grace', async () => {
    const peer = await TestPeer.admit(store, testNode, edge, ROOM);
    await peer.publish('camera');
    const { roomId, peerId, epoch } = peer.placed;
    const placed = await store.memory.placements.placementOf(roomId, peerId);
    if (placed === undefined) throw new Error('it is placed');
    const elsewhere: Placement = await store.memory.placements.placePeer({
      roomId,
      peerId,
      requestId: placed.requestId,
      edgeId: placed.edgeId,
      mediaNodeId: placed.mediaNodeId,
      replacesEpoch: epoch,
      maxPeers: 10,
    });
    expect(elsewhere.epoch).toBeGreaterThan(epoch);
    await waitFor('the peer to be closed', () => testNode.node.rooms.peerCount === 0);
    await waitFor('its record to be ended', async () => (await storedTracks()).length === 0);
    expect(await store.memory.placements.placementOf(roomId, peerId)).toEqual(elsewhere);
  });
});
