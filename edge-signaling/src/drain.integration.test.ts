/** What an edge does for people whose media node is to go, and when it is to go itself. */
import type { Epoch, PlacedPeer } from '@plenary/cluster';
import { ADMIN_DRAIN_PATH, ADMIN_DRAIN_REPLY, askAdmin, PlenaryError } from '@plenary/cluster';
import type { AdminDrainReply } from '@plenary/cluster';
import type { ClientReply } from '@plenary/cluster/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TEST_ADMIN_TOKEN, testRoom } from './testing/edge-process.ts';
import type { EdgeProcess } from './testing/edge-process.ts';
import type { ScriptedMediaNode } from './testing/scripted-media-node.ts';
import { joinRequest } from './testing/test-client.ts';
import type { TestClient } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

const MEDIA = { rtpCapabilities: { codecs: [] }, publish: true };

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ edges: 2, mediaNodes: 3 });
});
afterEach(() => cluster.closeClients());
afterAll(async () => cluster.stop());

function nodeNamed(mediaNodeId: string): ScriptedMediaNode {
  const node = cluster.mediaNodes.find((one) => one.mediaNodeId === mediaNodeId);
  if (node === undefined) throw new Error(`there is no ${mediaNodeId}`);
  return node;
}

interface Moving {
  readonly ann: TestClient;
  readonly joined: ClientReply<'join'>;
  readonly old: ScriptedMediaNode;
  readonly placed: PlacedPeer;
  readonly epoch: Epoch;
}

/** Ann in a room, told that her media node will go. */
async function annToMove(room: string): Promise<Moving> {
  const ann = await cluster.client(0);
  const joined = await ann.join(room);
  const { session, media } = joined;
  const old = nodeNamed(media.mediaNodeId);
  const placed = { roomId: testRoom(session.roomId), peerId: session.peerId, epoch: media.epoch };
  old.notify('peer.move', placed);
  expect(await ann.notice('media.move')).toEqual({ epoch: media.epoch });
  return { ann, joined, old, placed, epoch: media.epoch };
}

const open = (client: TestClient, moveFrom: Epoch, insteadOf?: Epoch): Promise<ClientReply<'media.open'>> =>
  client.call('media.open', { ...MEDIA, moveFrom, ...(insteadOf === undefined ? {} : { insteadOf }) });

describe('a peer that moves', () => {
  it('[DR3] [DR13] [PR1] has media on two nodes until it has moved, and says which it means', async () => {
    const { ann, old, placed, epoch, joined } = await annToMove('move');
    const { trackId } = await ann.publish(joined.media, 'mic');
    const next = await open(ann, epoch);
    expect(next.mediaNodeId).not.toBe(old.mediaNodeId);
    expect(next.consumers).toEqual([]);
    expect(await open(ann, epoch)).toMatchObject({ mediaNodeId: next.mediaNodeId, epoch: next.epoch });
    const there = nodeNamed(next.mediaNodeId);
    expect([old.peerIds, there.peerIds]).toEqual([[placed.peerId], [placed.peerId]]);

    await ann.call('track.pause', { trackId, paused: true, epoch });
    await ann.call('unsubscribe', { consumerIds: ['c'], epoch: next.epoch });
    await ann.call('unsubscribe', { consumerIds: ['d'] });
    expect(old.callsOf('track.pause')).toMatchObject([{ ...placed, trackId }]);
    expect(there.callsOf('unsubscribe')).toMatchObject([{ epoch: next.epoch }, { epoch: next.epoch }]);
    expect(await ann.verdict('unsubscribe', { consumerIds: ['c'], epoch: 1 })).toBe('stale_epoch');

    await ann.call('media.moved', { epoch });
    expect(old.peerIds).toEqual([placed.peerId]);
    await ann.call('media.moved', { epoch: next.epoch });
    await waitFor('the old node to let her go', () => old.peerIds.length === 0);
    expect(old.callsOf('peer.drop')).toEqual([placed]);
    const previous = ({ placements }: TestCluster['store']) =>
      placements.previousPlacement(placed.roomId, placed.peerId);
    expect(await cluster.ask(previous)).toBeUndefined();
    expect(await ann.verdict('unsubscribe', { consumerIds: ['c'], epoch })).toBe('stale_epoch');
    expect(ann.noticesOf('media.lost')).toEqual([]);
    await ann.call('leave', {});
    await waitFor('her media to be freed', () => there.peerIds.length === 0);
  });

  it('[DR28] is offered another node in place of one that it cannot reach', async () => {
    const { ann, old, epoch } = await annToMove('unreachable');
    const first = await open(ann, epoch);
    const second = await open(ann, epoch, first.epoch);
    expect(new Set([old.mediaNodeId, first.mediaNodeId, second.mediaNodeId]).size).toBe(3);
    await waitFor('the first offer to be freed', () => nodeNamed(first.mediaNodeId).peerIds.length === 0);
    expect(old.peerIds).toHaveLength(1);
    await ann.call('leave', {});
    await waitFor('everything to be freed', () =>
      cluster.mediaNodes.every(({ peerIds }) => peerIds.length === 0),
    );
  });

  it('[DR17] goes on with its move on another edge', async () => {
    const { ann, joined, old, epoch } = await annToMove('resumed');
    const next = await open(ann, epoch);
    ann.close();
    const again = await cluster.client(1);
    const request = await again.resumeRequest(ann, joined.session, joined.room.lastEventId);
    expect(await again.call('resume', { ...request, epoch })).toMatchObject({ mediaAlive: true });
    await again.call('unsubscribe', { consumerIds: ['c'], epoch });
    expect(await open(again, epoch)).toMatchObject({ epoch: next.epoch });
    await again.call('media.moved', { epoch: next.epoch });
    await waitFor('the old node to let her go', () => old.peerIds.length === 0);
    await again.call('leave', {});
  });

  it('[DR14] is told which of its media is lost, and keeps the other', async () => {
    const { ann, old, placed, epoch } = await annToMove('lost');
    const next = await open(ann, epoch);
    old.notify('peer.lost', { ...placed, reason: 'node_lost' });
    expect(await ann.notice('media.lost')).toEqual({ reason: 'node_lost', epoch });
    await ann.call('unsubscribe', { consumerIds: ['c'] });
    const there = nodeNamed(next.mediaNodeId);
    there.notify('peer.lost', { ...placed, epoch: next.epoch, reason: 'worker_died' });
    await waitFor('the second loss', () => ann.noticesOf('media.lost').length === 2);
    expect(await ann.verdict('unsubscribe', { consumerIds: ['c'] })).toBe('media_lost');
    await ann.call('leave', {});
  });

  it('[DR16] that no other node takes stays where it is, and leaves nothing behind', async () => {
    const { ann, old, placed, epoch } = await annToMove('nowhere');
    for (const node of cluster.mediaNodes) node.refuseAdmissions = new PlenaryError('no_media_node');
    expect(await ann.verdict('media.open', { ...MEDIA, moveFrom: epoch })).toBe('no_media_node');
    for (const node of cluster.mediaNodes) node.refuseAdmissions = undefined;
    await ann.call('unsubscribe', { consumerIds: ['c'], epoch });
    expect(await ann.verdict('media.open', { ...MEDIA, moveFrom: 1 })).toBe('stale_epoch');
    await ann.call('leave', {});
    await waitFor('her placement to go', async () => {
      const placement = await cluster.store.placements.placementOf(placed.roomId, placed.peerId);
      return placement === undefined && !old.peerIds.includes(placed.peerId);
    });
  });
});

async function admin(edge: EdgeProcess, method: string, body?: unknown): Promise<AdminDrainReply> {
  const asked = {
    method,
    path: ADMIN_DRAIN_PATH,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  const answered = await askAdmin({ url: edge.operatorUrl }, [TEST_ADMIN_TOKEN], asked);
  return ADMIN_DRAIN_REPLY.parse(answered.body);
}

describe('an edge that drains', () => {
  it('[DR5] [DR21] [DR1] asks its clients to go to another edge, serves them until they have, and takes nobody new', async () => {
    const [first] = cluster.edges;
    if (first === undefined) throw new Error('there are edges');
    const [ann, idle] = [await cluster.client(0), await cluster.client(0)];
    const { session, media, room } = await ann.join('edge-drain');
    expect(await admin(first, 'POST', { deadlineMs: 60_000, id: 'edge-1' })).toMatchObject({
      kind: 'edge',
      id: 'edge-1',
    });
    expect(await ann.notice('edge.leaving')).toEqual({});
    const { trackId } = await ann.publish(media, 'mic-that-stays');
    const ready = await fetch(`${first.operatorUrl}/ready`);
    expect([ready.status, await ready.json()]).toEqual([503, { ready: false, reasons: ['draining'] }]);
    const refused = await fetch(`${first.url}/socket.io/?EIO=4&transport=websocket`);
    expect(refused.status).not.toBe(200);
    await waitFor('the others to know', async () => {
      const edges = await cluster.store.registry.liveEdges();
      return edges.find(({ edgeId }) => edgeId === 'edge-1')?.state === 'draining';
    });

    const again = await cluster.client(1);
    const resumed = await again.resume(ann, session, room.lastEventId);
    expect(resumed).toMatchObject({ mediaAlive: true, session: { peerId: session.peerId } });
    expect(resumed.catchUp).toMatchObject({
      type: 'events',
      events: [{ event: { type: 'track.published', track: { trackId } } }],
    });
    expect(await ann.notice('bye')).toMatchObject({ code: 'replaced' });
    await again.call('track.pause', { trackId, paused: true });
    // Who does not go is asked once more, and then sent away.
    expect(await idle.notice('bye')).toMatchObject({
      code: 'shutting_down',
      retryable: true,
    });
    expect(idle.noticesOf('edge.leaving')).toHaveLength(1);
    await waitFor('it to be drained', async () => (await admin(first, 'GET')).state === 'drained');
    expect(await admin(first, 'GET')).toMatchObject({ left: 0, gone: 2, cut: 0 });
    expect(nodeNamed(media.mediaNodeId).peerIds).toContain(session.peerId);
    expect(await admin(first, 'DELETE')).toMatchObject({ state: 'serving' });
    await first.ready();
    const back = await cluster.client(0);
    await back.join('edge-drain');
    await Promise.all([again.call('leave', {}), back.call('leave', {})]);
  });

  it('[DR1] refuses a join on a connection that was there before', async () => {
    const [first] = cluster.edges;
    if (first === undefined) throw new Error('there are edges');
    const waiting = await cluster.client(0);
    await admin(first, 'POST', { deadlineMs: 600_000 });
    const request = await joinRequest('late', { sessionKey: waiting.key.jwk });
    expect(await waiting.verdict('join', request)).toBe('shutting_down');
    await admin(first, 'DELETE');
    await first.ready();
  });

  it('[DR7] SIGTERM does the same, and ends it when nobody is left', async () => {
    const edge = await cluster.addEdge('edge-term', { PLENARY_DRAIN_MS: '60000' });
    const ann = await cluster.client(cluster.edges.indexOf(edge));
    const { session, room } = await ann.join('term');
    edge.kill('SIGTERM');
    await ann.notice('edge.leaving');
    const again = await cluster.client(1);
    await again.resume(ann, session, room.lastEventId);
    expect(await edge.exited()).toBe(0);
    expect(edge.output).toContain('draining');
  });
});
