import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  CONTROL_VERSION,
  EPOCH,
  MAX_CONTROL_PACKET_BYTES,
  MEDIA_NODE_ID,
  mintIncarnation,
} from '@plenary/cluster';
import { metricBy, metricSum, untilFreed } from '../testing/metric-values.ts';
import { mediaRequest, opusParameters, TEST_DTLS, vp8Parameters } from '../testing/rtp.ts';
import { TestEdge } from '../testing/test-edge.ts';
import {
  TestPeer,
  TestNodeStore,
  connectEdge,
  startTestNode,
  testRoom,
  TEST_SECRET,
} from '../testing/test-node.ts';
import type { TestNode } from '../testing/test-node.ts';
import { waitFor } from '@plenary/cluster/testing/wait-for';

const store = new TestNodeStore();
let testNode: TestNode;
let edge: TestEdge;

beforeAll(async () => {
  testNode = await startTestNode(store);
  edge = await connectEdge(testNode);
});

afterAll(async () => {
  edge.close();
  await testNode.node.stop();
});

afterEach(() => {
  store.setAvailable(true);
});

const nothingHeld = (): Promise<void> => untilFreed(testNode.node.metrics);

describe('the control link', () => {
  test('[CL1] a link without a proof, with a proof by another secret or for another node, is refused', async () => {
    const { controlUrl, mediaNodeId } = testNode.config;
    const caller = { kind: 'edge', id: 'edge-x', incarnation: mintIncarnation() } as const;
    const stranger = connectEdge(testNode, caller, 'another secret of at least thirty-two characters');
    await expect(stranger).rejects.toThrow(`edge edge-x and ${mediaNodeId} have different secrets`);
    const elsewhere = TestEdge.connect({
      url: controlUrl,
      mediaNodeId: MEDIA_NODE_ID.parse('other'),
      clusterSecret: TEST_SECRET,
      caller,
    });
    await expect(elsewhere).rejects.toThrow(`This is ${mediaNodeId}, not other`);
  });

  test('[CL2] the first notice is hello, and beats follow', async () => {
    const other = await connectEdge(testNode);
    expect(other.notices('hello')).toMatchObject([
      { mediaNodeId: testNode.config.mediaNodeId, controlVersion: CONTROL_VERSION },
    ]);
    await waitFor('two beats', () => other.notices('beat').length >= 2);
    other.close();
  });

  test('[CL20] an edge may not send pipe requests, nor a node requests for peers', async () => {
    await expect(edge.raw('pipe.locate', { roomId: 'r', trackId: 't' })).resolves.toMatchObject({
      ok: false,
      error: { code: 'forbidden' },
    });
    const node = await connectEdge(testNode, { kind: 'media-node', id: 'm', incarnation: mintIncarnation() });
    await expect(node.raw('peer.drop', { roomId: 'r', peerId: 'p', epoch: 1 })).resolves.toMatchObject({
      error: { code: 'forbidden' },
    });
    node.close();
  });

  test('[CL4] malformed and unknown messages are answered and affect no other caller', async () => {
    const peer = await TestPeer.admit(store, testNode, edge, testRoom('malformed'));
    const answers = await Promise.all([
      edge.raw('peer.admit', { roomId: 'x' }),
      edge.raw('subscribe', null),
      edge.raw('consumers.update', 'text'),
      edge.raw('no.such.message', {}),
      edge.raw('__proto__', {}),
    ]);
    expect(answers).toMatchObject([
      { error: { code: 'malformed_message' } },
      { error: { code: 'malformed_message' } },
      { error: { code: 'malformed_message' } },
      { error: { code: 'unknown_message' } },
      { error: { code: 'unknown_message' } },
    ]);
    edge.socket.emit('peer.drop', 'not sealed');
    const bad = edge.call('track.publish', {
      ...peer.placed,
      requestId: 'bad',
      transportId: peer.sendTransportId,
      kind: 'audio',
      source: 'microphone',
      rtpParameters: vp8Parameters(),
      paused: false,
    });
    await expect(bad).rejects.toMatchObject({ code: 'invalid_media_parameters' });
    await expect(peer.publish('microphone')).resolves.toMatchObject({ kind: 'audio' });
    await peer.leave(store);
    await nothingHeld();
  });
});

describe('a caller that sends too much', () => {
  test('[EN15] a message nested thousands deep is answered as malformed and logs no error', async () => {
    const other = await connectEdge(testNode);
    const nested = '['.repeat(6_000) + ']'.repeat(6_000);
    const answer = await other.rawFrame(999, `2999["peer.drop",${nested}]`);
    expect(answer).toMatchObject({ ok: false, error: { code: 'malformed_message' } });
    // An unsealed message belongs to no caller, and costs none anything.
    other.socket.io.engine.write(`21000["peer.drop",${nested}]`);
    await expect(other.raw('peer.drop', {})).resolves.toMatchObject({ error: { code: 'malformed_message' } });
    other.close();
    await nothingHeld();
  });

  test('[CL6] loses its link, while other callers keep theirs', async () => {
    const other = await connectEdge(testNode);
    const peer = await TestPeer.admit(store, testNode, edge, testRoom('large'));
    const closed = new Promise((resolve) => other.socket.once('disconnect', resolve));
    other.socket.emit('peer.drop', 'x'.repeat(MAX_CONTROL_PACKET_BYTES + 1), () => undefined);
    await closed;
    await expect(edge.call('peer.attach', peer.placed)).resolves.toEqual({ alive: true });
    await peer.leave(store);
    await nothingHeld();
  });
});

describe('a peer', () => {
  test('[EP3] an admission takes few mediasoup calls, and its repeat none', async () => {
    const { metrics } = testNode.node;
    const calls = async (): Promise<Record<string, number>> => {
      const counted = await metricBy(metrics, 'plenary_mediasoup_calls_total', 'method');
      delete counted['worker.getResourceUsage'];
      return counted;
    };
    const first = await TestPeer.admit(store, testNode, edge, testRoom('calls'));
    const tracks = [await first.publish('microphone'), await first.publish('camera')];
    const before = await calls();
    const second = await TestPeer.place(store, testNode, edge, testRoom('calls'));
    const reply = await second.admit(tracks);
    const after = await calls();
    const made = Object.fromEntries(
      Object.entries(after)
        .map(([method, count]) => [method, count - (before[method] ?? 0)] as const)
        .filter(([, count]) => count !== 0),
    );
    expect(made).toEqual({
      'router.createWebRtcTransport': 2,
      'transport.connect': 2,
      'transport.consume': 2,
    });
    expect(reply.failed).toEqual([]);
    expect(reply.consumers).toMatchObject([{ paused: false }, { paused: false }]);
    expect(reply.sendTransport?.iceCandidates.map((candidate) => candidate.protocol)).toEqual(['udp', 'tcp']);
    expect(await second.admit(tracks)).toEqual(reply);
    expect(await calls()).toEqual(after);
    await first.leave(store);
    await second.leave(store);
    await nothingHeld();
  });

  test('[BU44] unchanged values take no mediasoup call, and the reply says so', async () => {
    const { metrics } = testNode.node;
    const roomId = testRoom('repeats');
    const first = await TestPeer.admit(store, testNode, edge, roomId);
    const track = await first.publish('microphone');
    const second = await TestPeer.admit(store, testNode, edge, roomId, [track]);
    // Calls that no request causes continue on their own.
    const unasked = /^(worker|observer|router)[.]|getStats$/;
    const counted = async (): Promise<unknown> =>
      Object.entries(await metricBy(metrics, 'plenary_mediasoup_calls_total', 'method'))
        .filter(([method]) => !unasked.test(method))
        .toSorted();
    const before = await counted();
    for (let count = 0; count < 50; count += 1) {
      const replies = await Promise.all([
        edge.call('transport.connect', {
          ...first.placed,
          transportId: first.sendTransportId,
          dtlsParameters: TEST_DTLS,
        }),
        edge.call('track.publish', {
          ...first.placed,
          requestId: 'publish-microphone',
          transportId: first.sendTransportId,
          kind: 'audio',
          source: 'microphone',
          rtpParameters: opusParameters(),
          paused: false,
        }),
        edge.call('track.end', { ...first.placed, trackId: 'nobodys' }),
        edge.call('track.pause', { ...first.placed, trackId: track.trackId, paused: false }),
        edge.call('subscribe', { ...second.placed, tracks: [track] }),
        edge.call('unsubscribe', { ...second.placed, consumerIds: ['gone'] }),
        edge.call('consumers.update', {
          ...second.placed,
          consumers: [{ consumerId: 'gone', paused: true }],
        }),
      ]);
      const [connected, published, ended, paused, subscribed, unsubscribed, updated] = replies;
      expect([connected, published, ended, subscribed, unsubscribed, updated]).toMatchObject(
        Array.from({ length: 6 }, () => ({ calls: 0 })),
      );
      // The first answer notified the room.
      expect([published.events, ended.events, paused.events]).toEqual([[], [], []]);
      expect(published.trackId).toBe(track.trackId);
    }
    expect(await counted()).toEqual(before);
    await first.leave(store);
    await second.leave(store);
    await nothingHeld();
  });

  test('[BU43] [BU77] a peer that is admitted again and again is refused, stays as it is, and affects no other', async () => {
    const roomId = testRoom('admissions');
    const peer = await TestPeer.admit(store, testNode, edge, roomId);
    const { epoch } = peer.placed;
    let [admitted, refused] = [epoch, 0];
    for (let count = 1; count <= 500; count += 1) {
      const placed = { ...peer.placed, epoch: EPOCH.parse(epoch + count) };
      try {
        await edge.call('peer.admit', { ...placed, media: mediaRequest(), tracks: [] });
        admitted = placed.epoch;
      } catch (fault) {
        expect(fault).toMatchObject({ code: 'rate_limited' });
        refused += 1;
      }
    }
    // Some dozens are admitted at once, and then as many as the budget refills meanwhile.
    expect(refused).toBeGreaterThan(300);
    await expect(edge.call('peer.attach', { ...peer.placed, epoch: admitted })).resolves.toEqual({
      alive: true,
    });
    const others = await Promise.all(
      Array.from({ length: 30 }, () => TestPeer.admit(store, testNode, edge, roomId)),
    );
    expect(others.every(({ admitted: reply }) => reply !== undefined)).toBe(true);
    await Promise.all(others.map((other) => other.leave(store)));
    await store.roomLog.removePeer(roomId, peer.placed.peerId, epoch, 'left');
    await edge.call('peer.drop', { ...peer.placed, epoch: admitted });
    await nothingHeld();
  });

  test('[EP2] [EP9] an older epoch is refused, a higher one replaces, and a dropped one does not come back', async () => {
    const roomId = testRoom('epochs');
    const old = await TestPeer.admit(store, testNode, edge, roomId);
    const track = await old.publish('camera');
    const next = await TestPeer.place(store, testNode, edge, roomId, old.placed);
    expect(next.placed.epoch).toBeGreaterThan(old.placed.epoch);
    await next.admit();
    await expect(old.admit()).rejects.toMatchObject({ code: 'stale_epoch' });
    await expect(old.publish('screen')).rejects.toMatchObject({ code: 'stale_epoch' });
    await waitFor('the old track to end', () =>
      edge
        .notices('room.events')
        .some(({ events }) =>
          events.some(({ event }) => event.type === 'track.ended' && event.trackId === track.trackId),
        ),
    );
    await edge.call('peer.drop', old.placed);
    await expect(edge.call('peer.attach', next.placed)).resolves.toEqual({ alive: true });
    await next.leave(store);
    await edge.call('peer.drop', next.placed);
    await expect(next.admit()).rejects.toMatchObject({ code: 'stale_epoch' });
    await nothingHeld();
  });

  test('[EP3] [EP10] a repeated publish gives one producer and, after its end, none; the ninth track is refused', async () => {
    const peer = await TestPeer.admit(store, testNode, edge, testRoom('publish'));
    const request = {
      ...peer.placed,
      requestId: 'same',
      transportId: peer.sendTransportId,
      kind: 'audio' as const,
      source: 'microphone' as const,
      rtpParameters: opusParameters(),
      paused: false,
    };
    const [one, two] = await Promise.all([
      edge.call('track.publish', request),
      edge.call('track.publish', request),
    ]);
    expect(two.trackId).toBe(one.trackId);
    // The room is notified once.
    expect([one, two].flatMap(({ events }) => events)).toHaveLength(1);
    expect(await metricSum(testNode.node.metrics, 'plenary_media_producers')).toBe(1);
    for (let index = 0; index < 7; index += 1) await peer.publish('microphone', `more-${index}`);
    await expect(peer.publish('camera')).rejects.toMatchObject({ code: 'limit_reached' });
    await edge.call('track.end', { ...peer.placed, trackId: one.trackId });
    // A delayed copy arrives: the client would not know the track that it creates.
    await expect(edge.call('track.publish', request)).rejects.toMatchObject({ code: 'track_not_found' });
    await expect(peer.publish('camera')).resolves.toBeDefined();
    await peer.leave(store);
    await nothingHeld();
  });

  test('[EP4] a mute and a track’s end reach store and consumers', async () => {
    const roomId = testRoom('mute');
    const speaker = await TestPeer.admit(store, testNode, edge, roomId);
    const track = await speaker.publish('microphone');
    const listener = await TestPeer.admit(store, testNode, edge, roomId);
    const { consumers } = await listener.subscribe([track]);
    expect(consumers).toMatchObject([{ trackId: track.trackId, paused: false, producerPaused: false }]);
    expect(await listener.subscribe([track])).toMatchObject({
      consumers: [{ consumerId: consumers[0]?.consumerId }],
    });
    const muted = await edge.call('track.pause', { ...speaker.placed, trackId: track.trackId, paused: true });
    expect(muted.events).toMatchObject([{ event: { type: 'track.changed', paused: true } }]);
    await edge.call('track.end', { ...speaker.placed, trackId: track.trackId });
    await waitFor('consumer.closed', () =>
      edge.notices('consumer.closed').some(({ trackId }) => trackId === track.trackId),
    );
    expect(await listener.subscribe([track])).toMatchObject({
      failed: [{ error: { code: 'track_not_found' } }],
    });
    await speaker.leave(store);
    await listener.leave(store);
    await nothingHeld();
  });

  test('[CL23] a link that opens late and closes at once takes no peer from the open link', async () => {
    const caller = { kind: 'edge', id: 'edge-c', incarnation: mintIncarnation() } as const;
    const standing = await connectEdge(testNode, caller);
    const peer = await TestPeer.admit(store, testNode, standing, testRoom('late'));
    const late = await connectEdge(testNode, caller);
    late.close();
    const track = await peer.publish('microphone');
    // Nobody watches, and the open link notifies the publisher of that.
    await waitFor('its track to be told of', () =>
      standing.notices('track.demand').some(({ trackId }) => trackId === track.trackId),
    );
    expect(await metricSum(testNode.node.metrics, 'plenary_media_orphan_peers')).toBe(0);
    await peer.leave(store);
    standing.close();
    await nothingHeld();
  });

  test('[SE46] an edge that resumes a peer is notified again which of its consumers ended', async () => {
    const roomId = testRoom('ended');
    const publisher = await TestPeer.admit(store, testNode, edge, roomId);
    const track = await publisher.publish('microphone');
    const first = await connectEdge(testNode, { kind: 'edge', id: 'edge-e', incarnation: mintIncarnation() });
    const viewer = await TestPeer.admit(store, testNode, first, roomId, [track]);
    const [consumer] = viewer.admitted?.consumers ?? [];
    await edge.call('track.end', { ...publisher.placed, trackId: track.trackId });
    await waitFor('the end to be told', () => first.notices('consumer.closed').length === 1);
    const second = await connectEdge(testNode, {
      kind: 'edge',
      id: 'edge-f',
      incarnation: mintIncarnation(),
    });
    await second.call('peer.attach', viewer.placed);
    await waitFor('the end to be told again', () =>
      second.notices('consumer.closed').some(({ consumerId }) => consumerId === consumer?.consumerId),
    );
    await viewer.leave(store);
    await publisher.leave(store);
    first.close();
    second.close();
    await nothingHeld();
  });

  test('[SE45] records that an edge ended because it took this node for dead are written again when the edge attaches', async () => {
    const roomId = testRoom('ended-records');
    const peer = await TestPeer.admit(store, testNode, edge, roomId);
    const track = await peer.publish('microphone');
    await store.roomLog.endTracks(roomId, [track.trackId], 'node_lost');
    await edge.call('peer.attach', peer.placed);
    await waitFor(
      'the record',
      async () => (await store.placements.view(roomId)).tracks[0]?.trackId === track.trackId,
    );
    await peer.leave(store);
    await nothingHeld();
  });

  test('[SE38] peer.ask takes the peer from no edge', async () => {
    const peer = await TestPeer.admit(store, testNode, edge, testRoom('asked'));
    const other = await connectEdge(testNode, { kind: 'edge', id: 'edge-g', incarnation: mintIncarnation() });
    await expect(other.call('peer.ask', peer.placed)).resolves.toEqual({ alive: true });
    await expect(
      other.call('peer.ask', { ...peer.placed, epoch: EPOCH.parse(peer.placed.epoch + 1) }),
    ).resolves.toEqual({ alive: false });
    const track = await peer.publish('microphone');
    await waitFor('its track to be told of', () =>
      edge.notices('track.demand').some(({ trackId }) => trackId === track.trackId),
    );
    expect(other.notices('track.demand')).toEqual([]);
    await peer.leave(store);
    other.close();
    await nothingHeld();
  });

  test('[OU1] [OU4] [OU5] while the store is down mute works and publish leaves no producer; afterwards all tracks are published again', async () => {
    const roomId = testRoom('outage');
    const peer = await TestPeer.admit(store, testNode, edge, roomId);
    const track = await peer.publish('camera');
    store.setAvailable(false);
    await expect(peer.publish('microphone')).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await metricSum(testNode.node.metrics, 'plenary_media_producers')).toBe(1);
    const muted = await edge.call('track.pause', { ...peer.placed, trackId: track.trackId, paused: true });
    expect(muted.events).toEqual([]);
    const response = await fetch(`${testNode.config.operatorUrl}/ready`);
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('"store_unavailable"');
    expect((await fetch(`${testNode.config.operatorUrl}/health`)).status).toBe(200);
    store.setAvailable(true);
    await waitFor(
      'the mute to be published',
      async () => (await store.memory.roomLog.tracks(roomId, [track.trackId]))[0]?.paused === true,
    );
    // A peer without a path for some seconds, as on a busy machine, adds another reason (SPEC HL7).
    await waitFor('it to be served', () => !testNode.node.readiness().reasons.includes('store_unavailable'));
    await peer.leave(store);
    await nothingHeld();
  });

  test('[EP5] fifty rounds of joining, publishing, subscribing and leaving count back to zero', async () => {
    const roomId = testRoom('rounds');
    for (let round = 0; round < 50; round += 1) {
      const first = await TestPeer.admit(store, testNode, edge, roomId);
      const tracks = [await first.publish('microphone'), await first.publish('camera')];
      const second = await TestPeer.admit(store, testNode, edge, roomId, tracks);
      expect(second.admitted?.consumers).toHaveLength(2);
      await Promise.all([first.leave(store), second.leave(store)]);
    }
    await nothingHeld();
    expect(store.memory.rooms.roomCount).toBe(0);
  });

  test('[EP5] a peer that is dropped during its admission leaves nothing open', async () => {
    const roomId = testRoom('hasty');
    for (let round = 0; round < 20; round += 1) {
      const peer = await TestPeer.place(store, testNode, edge, roomId);
      const admission = edge.call('peer.admit', { ...peer.placed, media: mediaRequest(), tracks: [] });
      const outcome = admission.then(
        () => 'admitted',
        (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
      );
      await peer.leave(store);
      expect(['admitted', 'media_lost']).toContain(await outcome);
    }
    await nothingHeld();
  });
});

describe('what the node reports', () => {
  test('[PL7] [PL10] each report has the current load of all kinds, and the recent joins', async () => {
    // The node reports with each renewal; joins count for five seconds.
    const reporting = await startTestNode(store, { maxPacketsPerSecond: 1, leaseMs: 1_500 });
    const caller = await connectEdge(reporting);
    const report = async () => {
      const nodes = await store.registry.liveMediaNodes();
      const own = nodes.find(({ mediaNodeId }) => mediaNodeId === reporting.config.mediaNodeId);
      if (own === undefined) throw new Error('The node is not announced.');
      return own;
    };
    const before = await report();
    expect(before.recentJoins).toBe(0);
    const peer = await TestPeer.admit(store, reporting, caller, testRoom('report'));
    await peer.admit();
    await waitFor('a report of the one join', async () => (await report()).recentJoins === 1);
    expect((await report()).reportedAtMs).toBeGreaterThan(before.reportedAtMs);
    // Beats and answers go over loopback, on which this node listens.
    await waitFor('a report of packets', async () => (await report()).load.packets > 0);
    const kinds = Object.keys(await metricBy(reporting.node.metrics, 'plenary_media_load', 'kind'));
    expect(kinds.sort()).toEqual(Object.keys(before.load).sort());
    await peer.leave(store);
    caller.close();
    await reporting.node.stop();
  });
});
