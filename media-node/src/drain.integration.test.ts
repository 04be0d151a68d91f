import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ADMIN_DRAIN_PATH, ADMIN_DRAIN_REPLY, askAdmin, EDGE_ID, REQUEST_ID } from '@plenary/cluster';
import type { AdminDrainReply, RoomId } from '@plenary/cluster';
import { untilFreed } from './testing/metric-values.ts';
import { vp8Parameters } from './testing/rtp.ts';
import type { TestEdge } from './testing/test-edge.ts';
import {
  TestPeer,
  TestNodeStore,
  connectEdge,
  startTestNode,
  testRoom,
  TEST_ADMIN_TOKEN,
} from './testing/test-node.ts';
import type { TestNode } from './testing/test-node.ts';
import { waitFor } from '@plenary/cluster/testing/wait-for';

const store = new TestNodeStore();
let [old, next]: TestNode[] = [];
let [edgeOfOld, edgeOfNext]: TestEdge[] = [];

interface Pair {
  readonly old: TestNode;
  readonly next: TestNode;
  readonly edgeOfOld: TestEdge;
  readonly edgeOfNext: TestEdge;
}

/** The resources that the hooks created. */
function pair(): Pair {
  if (old === undefined || next === undefined || edgeOfOld === undefined || edgeOfNext === undefined) {
    throw new Error('the nodes were not started');
  }
  return { old, next, edgeOfOld, edgeOfNext };
}

beforeAll(async () => {
  [old, next] = await Promise.all([startTestNode(store), startTestNode(store)]);
});
beforeEach(async () => {
  if (old === undefined || next === undefined) throw new Error('the nodes were not started');
  [edgeOfOld, edgeOfNext] = await Promise.all([connectEdge(old), connectEdge(next)]);
});
afterEach(async () => {
  const { old: drained, next: other } = pair();
  drained.node.undrain();
  edgeOfOld?.close();
  edgeOfNext?.close();
  await Promise.all([untilFreed(drained.node.metrics), untilFreed(other.node.metrics)]);
});
afterAll(async () => {
  await Promise.all([old?.node.stop(), next?.node.stop()]);
});

async function admin(
  { config }: TestNode,
  method: string,
  deadlineMs?: number,
  token = TEST_ADMIN_TOKEN,
): Promise<{ readonly status: number; readonly reply: AdminDrainReply | undefined }> {
  const { status, body } = await askAdmin({ url: config.operatorUrl }, [token], {
    method,
    path: ADMIN_DRAIN_PATH,
    ...(deadlineMs === undefined ? {} : { body: JSON.stringify({ deadlineMs }) }),
  });
  return { status, reply: ADMIN_DRAIN_REPLY.safeParse(body).data };
}

/**
 * Whether the node is not ready for this reason; peers without a path for some seconds, as on a busy machine, add
 * another one (SPEC HL7).
 */
const isUnready = async ({ config }: TestNode): Promise<boolean> =>
  (await (await fetch(`${config.operatorUrl}/ready`)).text()).includes('"draining"');
const stateOf = async ({ config }: TestNode): Promise<string | undefined> =>
  (await store.registry.liveMediaNodes()).find(({ mediaNodeId }) => mediaNodeId === config.mediaNodeId)
    ?.state;

/** Places and admits a peer on another node while it continues on its own, as an edge does. */
async function openElsewhere(peer: TestPeer, there: TestNode, edge: TestEdge): Promise<TestPeer> {
  const { roomId, peerId, epoch } = peer.placed;
  const placement = await store.placements.placePeer({
    roomId,
    peerId,
    requestId: REQUEST_ID.parse('move'),
    edgeId: EDGE_ID.parse(edge.caller.id),
    mediaNodeId: there.config.mediaNodeId,
    maxPeers: 10,
    replacesEpoch: epoch,
    keepsEpoch: epoch,
  });
  const moved = new TestPeer(there, edge, { roomId, peerId, epoch: placement.epoch });
  await moved.admit();
  return moved;
}

async function leave(roomId: RoomId, ...peers: readonly TestPeer[]): Promise<void> {
  for (const { placed, edge } of peers) {
    await store.roomLog.removePeer(roomId, placed.peerId, placed.epoch, 'left');
    await edge.call('peer.drop', placed);
  }
}

describe('a media node that drains', () => {
  test('[DR1] [DR9] admits no new peers, announces it at once, and serves again when the drain is cancelled', async () => {
    const { old: node, edgeOfOld: edge } = pair();
    const peer = await TestPeer.admit(store, node, edge, testRoom('drain-state'));
    expect(await admin(node, 'POST', 60_000)).toMatchObject({
      status: 200,
      reply: { state: 'draining', left: 1 },
    });
    await waitFor('the record says so', async () => (await stateOf(node)) === 'draining');
    expect(await isUnready(node)).toBe(true);
    const late = await TestPeer.place(store, node, edge, testRoom('drain-late'));
    await expect(late.admit()).rejects.toMatchObject({ code: 'no_media_node' });
    await peer.admit();

    expect(await admin(node, 'DELETE')).toMatchObject({ status: 200, reply: { state: 'serving' } });
    await waitFor('the record says so', async () => (await stateOf(node)) === 'serving');
    expect(await isUnready(node)).toBe(false);
    await late.admit();
    await leave(testRoom('drain-late'), late);
    await leave(testRoom('drain-state'), peer);
  });

  test('[DR6] accepts the command only with the token', async () => {
    const { old: node } = pair();
    expect((await admin(node, 'POST', 1, 'x'.repeat(40))).status).toBe(401);
    expect(await isUnready(node)).toBe(false);
  });

  test('[DR3] [DR13] keeps serving a peer that opened a media session elsewhere, until that peer leaves it', async () => {
    const { old: node, next: other, edgeOfOld: edge, edgeOfNext } = pair();
    const roomId = testRoom('drain-move');
    const peer = await TestPeer.admit(store, node, edge, roomId);
    const camera = await peer.publish('camera');
    await admin(node, 'POST', 60_000);
    await waitFor('the peer is asked to move', () => edge.notices('peer.move').length > 0);
    expect(edge.notices('peer.move')).toEqual([peer.placed]);

    const moved = await openElsewhere(peer, other, edgeOfNext);
    const { trackId, events } = await edgeOfNext.call('track.publish', {
      ...moved.placed,
      requestId: 'again',
      transportId: moved.sendTransportId,
      kind: 'video',
      source: 'camera',
      rtpParameters: vp8Parameters(),
      paused: false,
      replaces: camera.trackId,
    });
    expect(events).toMatchObject([
      { event: { type: 'track.published', track: { replaces: camera.trackId } } },
    ]);
    const muted = await edge.call('track.pause', { ...peer.placed, trackId: camera.trackId, paused: true });
    expect(muted.events).toMatchObject([{ event: { type: 'track.changed', trackId: camera.trackId } }]);
    node.node.rooms.storeReturned();
    const both = async () => (await store.roomLog.tracks(roomId, [camera.trackId, trackId])).length;
    expect([await both(), node.node.rooms.peerCount]).toEqual([2, 1]);

    await edge.call('peer.drop', peer.placed);
    await waitFor('the old track ended', async () => (await both()) === 1);
    await waitFor('it is drained', async () => (await admin(node, 'GET')).reply?.state === 'drained');
    expect((await admin(node, 'GET')).reply).toMatchObject({ left: 0, gone: 1, cut: 0 });
    expect(edge.notices('peer.lost')).toEqual([]);
    await leave(roomId, moved);
  });

  test('[DR17] asks the peer again over the link of the edge that resumes it', async () => {
    const { old: node, edgeOfOld: edge } = pair();
    const peer = await TestPeer.admit(store, node, edge, testRoom('drain-attach'));
    await admin(node, 'POST', 60_000);
    const another = await connectEdge(node);
    await another.call('peer.attach', peer.placed);
    await waitFor('it hears of the move', () => another.notices('peer.move').length === 1);
    node.node.undrain();
    await edge.call('peer.attach', peer.placed);
    await leave(testRoom('drain-attach'), peer);
    expect(edge.notices('peer.move')).toHaveLength(1);
    another.close();
  });

  test('[DR11] cuts off the remaining peers at the deadline', async () => {
    const { old: node, edgeOfOld: edge } = pair();
    const peer = await TestPeer.admit(store, node, edge, testRoom('drain-deadline'));
    await admin(node, 'POST', 600);
    await waitFor('the peer is told', () => edge.notices('peer.lost').length > 0);
    expect(edge.notices('peer.lost')).toEqual([{ ...peer.placed, reason: 'node_lost' }]);
    expect((await admin(node, 'GET')).reply).toMatchObject({ state: 'drained', left: 0, cut: 1 });
    await leave(testRoom('drain-deadline'), peer);
  });
});
