import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MEDIA_NODE_ID, ROUTER_ID, TRACK_ID, mintIncarnation, toPlenaryError } from '@plenary/cluster';
import type { TrackHome } from '@plenary/cluster';
import { metricBy, metricSum, untilFreed } from '../testing/metric-values.ts';
import type { TestEdge } from '../testing/test-edge.ts';
import {
  TestPeer,
  TestNodeStore,
  connectEdge,
  startTestNode,
  testConfig,
  testRoom,
} from '../testing/test-node.ts';
import type { TestNode } from '../testing/test-node.ts';
import { THIS_MACHINE, UNKNOWN_MACHINE } from './machine.ts';
import type { Machine } from './machine.ts';
import { waitFor } from '@plenary/cluster/testing/wait-for';

let store: TestNodeStore;
const started: TestNode[] = [];
const edges: TestEdge[] = [];

async function nodeWithEdge(
  ...parameters: Parameters<typeof startTestNode> extends [unknown, ...infer Rest] ? Rest : never
): Promise<[TestNode, TestEdge]> {
  const node = await startTestNode(store, ...parameters);
  started.push(node);
  const edge = await connectEdge(node);
  edges.push(edge);
  return [node, edge];
}

beforeEach(() => {
  store = new TestNodeStore();
});

afterEach(async () => {
  for (const edge of edges.splice(0)) edge.close();
  await Promise.all(started.splice(0).map(({ node }) => node.stop()));
});

const pipes = ({ node }: TestNode): Promise<number> => metricSum(node.metrics, 'plenary_media_pipes');
const calls = async ({ node }: TestNode, method: string): Promise<number> =>
  (await metricBy(node.metrics, 'plenary_mediasoup_calls_total', 'method'))[method] ?? 0;

describe('a pipe between two nodes', () => {
  let home: TestNode;
  let away: TestNode;
  let homeEdge: TestEdge;
  let awayEdge: TestEdge;
  let publisher: TestPeer;
  let microphone: TrackHome;
  let camera: TrackHome;
  const roomId = testRoom('spanning');

  beforeEach(async () => {
    [home, homeEdge] = await nodeWithEdge();
    [away, awayEdge] = await nodeWithEdge();
    publisher = await TestPeer.admit(store, home, homeEdge, roomId);
    microphone = await publisher.publish('microphone');
    camera = await publisher.publish('camera');
  });

  test('[PI1] publisher and subscriber on one router need no pipe', async () => {
    const viewer = await TestPeer.admit(store, home, homeEdge, roomId, [microphone, camera]);
    expect(viewer.admitted?.consumers).toHaveLength(2);
    expect(await pipes(home)).toBe(0);
    expect(await metricSum(home.node.metrics, 'plenary_media_node_links')).toBe(0);
  });

  test('[CL7] the home node has a link back before it needs one', async () => {
    await TestPeer.admit(store, away, awayEdge, roomId, [microphone]);
    await waitFor(
      'the link back',
      async () => (await metricSum(home.node.metrics, 'plenary_media_node_links')) === 1,
    );
    expect(await metricSum(away.node.metrics, 'plenary_media_node_links')).toBe(1);
    expect(await metricBy(home.node.metrics, 'plenary_media_pipes', 'side')).toEqual({ asking: 0, home: 1 });
  });

  test('[PI14] a home returns the bytes that it has sent into a pipe, and none for a missing pipe', async () => {
    await TestPeer.admit(store, away, awayEdge, roomId, [microphone]);
    const [link] = (await away.node.rooms.room(roomId)?.pipes.opened()) ?? [];
    // The publisher of a test sends no RTP.
    expect(await link?.sentBytes()).toBe(0);
    link?.close('unused');
    await expect(link?.sentBytes()).rejects.toMatchObject({ code: 'media_lost' });
  });

  test('[PI2] many subscribers at once share one pipe and one copy of each track', async () => {
    const viewers = await Promise.all(
      Array.from({ length: 5 }, () => TestPeer.admit(store, away, awayEdge, roomId, [microphone, camera])),
    );
    for (const viewer of viewers) {
      expect(viewer.admitted?.failed).toEqual([]);
      expect(viewer.admitted?.consumers.map(({ trackId }) => trackId)).toEqual([
        microphone.trackId,
        camera.trackId,
      ]);
    }
    expect(await metricBy(away.node.metrics, 'plenary_media_pipes', 'side')).toEqual({ asking: 1, home: 0 });
    expect(await metricBy(home.node.metrics, 'plenary_media_pipes', 'side')).toEqual({ asking: 0, home: 1 });
    expect(await metricSum(away.node.metrics, 'plenary_media_piped_producers')).toBe(2);
    expect(await metricSum(home.node.metrics, 'plenary_media_pipe_consumers')).toBe(2);

    await Promise.all(viewers.map((viewer) => viewer.leave(store)));
    await untilFreed(away.node.metrics);
    await waitFor('the home side to close', async () => (await pipes(home)) === 0);
    await publisher.leave(store);
    await untilFreed(home.node.metrics);
  });

  test('[PI3] [PI16] [PI17] a track without viewers is paused at home, resumed when watched, and released after the linger', async () => {
    const viewer = await TestPeer.admit(store, away, awayEdge, roomId);
    const { consumers } = await viewer.subscribe([camera]);
    expect(consumers).toMatchObject([{ paused: true }]);
    const consumerId = consumers[0]?.consumerId ?? '';
    await waitFor('the pause', async () => (await calls(home, 'consumer.pause')) === 1);
    const update = (paused: boolean): Promise<object> =>
      awayEdge.call('consumers.update', { ...viewer.placed, consumers: [{ consumerId, paused }] });
    await update(false);
    await waitFor('the resume', async () => (await calls(home, 'consumer.resume')) === 1);
    // Both at once: a pause of one second, also by a stall of the machine, would make the home pause.
    await Promise.all([update(true), update(false)]);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(await calls(home, 'consumer.pause')).toBe(1);
    await awayEdge.call('unsubscribe', { ...viewer.placed, consumerIds: [consumerId] });
    await waitFor('the pipe to close', async () => (await pipes(away)) + (await pipes(home)) === 0);
    expect(awayEdge.notices('consumer.closed')).toEqual([]);
    await expect(viewer.subscribe([camera])).resolves.toMatchObject({ failed: [] });
  });

  test('[PI4] the publisher’s mute and the track’s end pass through', async () => {
    const viewer = await TestPeer.admit(store, away, awayEdge, roomId, [microphone]);
    await homeEdge.call('track.pause', { ...publisher.placed, trackId: microphone.trackId, paused: true });
    await waitFor('the copy to pause', async () => (await calls(away, 'producer.pause')) === 1);
    const second = await TestPeer.admit(store, away, awayEdge, roomId, [microphone]);
    expect(second.admitted?.consumers).toMatchObject([{ producerPaused: true }]);
    await homeEdge.call('track.pause', { ...publisher.placed, trackId: microphone.trackId, paused: false });
    await waitFor('the copy to resume', async () => (await calls(away, 'producer.resume')) === 1);
    await homeEdge.call('track.end', { ...publisher.placed, trackId: microphone.trackId });
    await waitFor('both to hear of the end', () => awayEdge.notices('consumer.closed').length === 2);
    await viewer.leave(store);
    await second.leave(store);
    await untilFreed(away.node.metrics);
  });

  test('[PI5] a failure is not stored: the next request opens the pipe again, and nothing is left of the first', async () => {
    const viewer = await TestPeer.admit(store, away, awayEdge, roomId);
    const missing = { ...camera, trackId: TRACK_ID.parse('no-such-track') };
    const unknownNode = { ...camera, homeNodeId: MEDIA_NODE_ID.parse('no-such-node') };
    await expect(viewer.subscribe([missing])).resolves.toMatchObject({
      consumers: [],
      failed: [{ error: { code: 'track_not_found' } }],
    });
    await expect(viewer.subscribe([unknownNode])).resolves.toMatchObject({
      failed: [{ error: { code: 'media_unavailable' } }],
    });
    // A track that cannot be pulled delays no other.
    const mixed = await viewer.subscribe([missing, microphone, camera]);
    expect(mixed.consumers).toHaveLength(2);
    expect(mixed.failed).toHaveLength(1);
    await viewer.leave(store);
    await untilFreed(away.node.metrics);
  });

  test('[PI5] a node that was missing is found once it runs', async () => {
    const later = testConfig();
    const viewer = await TestPeer.admit(store, away, awayEdge, roomId);
    const early = { ...camera, homeNodeId: later.mediaNodeId };
    await expect(viewer.subscribe([early])).resolves.toMatchObject({
      failed: [{ error: { code: 'media_unavailable' } }],
    });
    const [late, lateEdge] = await nodeWithEdge(later);
    const lateTrack = await (await TestPeer.admit(store, late, lateEdge, roomId)).publish('microphone');
    // The registry is read again after a moment at the earliest.
    await waitFor('the track', async () => (await viewer.subscribe([lateTrack])).failed.length === 0);
  });

  test('[PI6] when the home node stops, its copies end and consumers are notified', async () => {
    await TestPeer.admit(store, away, awayEdge, roomId, [microphone, camera]);
    await home.node.stop();
    await waitFor('the consumers to close', () => awayEdge.notices('consumer.closed').length === 2);
    expect(await pipes(away)).toBe(0);
    expect(homeEdge.notices('peer.lost')).toMatchObject([{ reason: 'node_lost' }]);
  });

  test('[PI6] when the pulling node stops, the home side of its pipes is freed', async () => {
    await TestPeer.admit(store, away, awayEdge, roomId, [microphone]);
    expect(await pipes(home)).toBe(1);
    await away.node.stop();
    await waitFor('the home side to close', async () => (await pipes(home)) === 0);
    await publisher.leave(store);
    await untilFreed(home.node.metrics);
  });

  test('[PI7] [PI22] opening a pair again replaces its old pipe, and a close overtakes an opening', async () => {
    const requester = await connectEdge(home, {
      kind: 'media-node',
      id: 'm',
      incarnation: mintIncarnation(),
    });
    const { routerId } = await requester.call('pipe.locate', { roomId, trackId: camera.trackId });
    const key = { roomId, fromRouterId: ROUTER_ID.parse('theirs'), toRouterId: routerId };
    const end = { address: '127.0.0.1', port: 9 };
    const approach = { end, ...(THIS_MACHINE.id === undefined ? {} : { machineId: THIS_MACHINE.id }) };
    await requester.call('pipe.open', { ...key, ...approach });
    const again = await requester.call('pipe.open', { ...key, ...approach });
    expect(again.end.port).toBeGreaterThanOrEqual(home.config.portSlice.firstPort + home.config.workers);
    expect(again.end.port).toBeLessThanOrEqual(home.config.portSlice.lastPort);
    expect(await pipes(home)).toBe(1);
    const [first, second] = await Promise.all([
      requester.call('pipe.consume', { ...key, trackId: camera.trackId, homeNodeId: camera.homeNodeId }),
      requester.call('pipe.consume', { ...key, trackId: camera.trackId, homeNodeId: camera.homeNodeId }),
    ]);
    expect(second).toEqual(first);
    expect(await metricSum(home.node.metrics, 'plenary_media_pipe_consumers')).toBe(1);
    const opening = requester.call('pipe.open', { ...key, ...approach });
    const outcome = opening.then(
      () => 'opened before',
      (fault: unknown) => toPlenaryError(fault).code,
    );
    await requester.call('pipe.close', key);
    expect(['media_lost', 'opened before']).toContain(await outcome);
    await waitFor('no pipe', async () => (await pipes(home)) === 0);
    await requester.call('pipe.open', { ...key, ...approach });
    requester.close();
    await waitFor('no pipe after its requester is gone', async () => (await pipes(home)) === 0);
  });
});

describe('a pipe between hosts', () => {
  test.each([
    ['one machine and an own address of it', {}, THIS_MACHINE, false],
    ['a host name', { announcedAddress: 'localhost' }, THIS_MACHINE, true],
    ['two machines with one address', {}, { ...THIS_MACHINE, id: 'another-machine' }, true],
    ['a machine that does not say', {}, UNKNOWN_MACHINE, true],
    ['an address that is not of the machine', {}, { ...THIS_MACHINE, hasAddress: () => false }, true],
  ])('[PI8] a pair with %s: encrypted %#', async (_what, addresses, machine, isEncrypted) => {
    const [home, homeEdge] = await nodeWithEdge();
    const [away, awayEdge] = await nodeWithEdge(addresses, { machine });
    const roomId = testRoom('hosts');
    const publisher = await TestPeer.admit(store, home, homeEdge, roomId);
    const camera = await publisher.publish('camera');
    await TestPeer.admit(store, away, awayEdge, roomId, [camera]);
    const [link] = (await away.node.rooms.room(roomId)?.pipes.opened()) ?? [];
    expect(link?.port.end.srtpParameters?.cryptoSuite).toBe(isEncrypted ? 'AEAD_AES_256_GCM' : undefined);
  });
});

describe('a pipe that is opened without encryption', () => {
  const opened = async (
    approach: { readonly address?: string; readonly machineId?: string | undefined },
    options: { readonly machine?: Machine } = {},
  ): Promise<unknown> => {
    const [home, homeEdge] = await nodeWithEdge({}, options);
    const roomId = testRoom('plain');
    const publisher = await TestPeer.admit(store, home, homeEdge, roomId);
    const { trackId } = await publisher.publish('camera');
    const caller = { kind: 'media-node', id: 'other', incarnation: mintIncarnation() } as const;
    const requester = await connectEdge(home, { ...caller, id: MEDIA_NODE_ID.parse(caller.id) });
    edges.push(requester);
    const { routerId } = await requester.call('pipe.locate', { roomId, trackId });
    const { address = '127.0.0.1', machineId } = approach;
    const end = { address, port: 9 };
    const key = { roomId, fromRouterId: ROUTER_ID.parse('theirs'), toRouterId: routerId };
    const answer = await requester
      .call('pipe.open', { ...key, end, ...(machineId === undefined ? {} : { machineId }) })
      .catch((error: unknown) => error);
    expect(await pipes(home)).toBe(answer instanceof Error ? 0 : 1);
    return answer;
  };

  test('[PI13] is opened by a node of this machine', async () => {
    expect(await opened({ machineId: THIS_MACHINE.id })).toMatchObject({ end: { address: '127.0.0.1' } });
  });

  test.each([
    ['of another machine', { machineId: 'another-machine' }, {}],
    ['that does not say where it is', {}, {}],
    ['whose end is elsewhere', { machineId: THIS_MACHINE.id, address: '192.0.2.1' }, {}],
    [
      'to a node that does not know its machine',
      { machineId: THIS_MACHINE.id },
      { machine: UNKNOWN_MACHINE },
    ],
  ])('[PI13] is refused from a node %s, and nothing is left', async (_who, approach, options) => {
    expect(await opened(approach, options)).toMatchObject({ code: 'invalid_media_parameters' });
  });
});

describe('a pipe between two workers of a node', () => {
  test('[PI15] works as between nodes, on loopback, without a control link', async () => {
    const [node, edge] = await nodeWithEdge({ workers: 2 }, { workerPackingLimit: 1 });
    const roomId = testRoom('workers');
    const publisher = await TestPeer.admit(store, node, edge, roomId);
    const camera = await publisher.publish('camera');
    const viewer = await TestPeer.admit(store, node, edge, roomId, [camera]);
    expect(viewer.admitted?.consumers).toHaveLength(1);
    expect(await metricBy(node.node.metrics, 'plenary_media_pipes', 'side')).toEqual({ asking: 1, home: 1 });
    expect(await metricSum(node.node.metrics, 'plenary_media_routers')).toBe(2);
    expect(await metricSum(node.node.metrics, 'plenary_media_node_links')).toBe(0);
    const [link] = (await node.node.rooms.room(roomId)?.pipes.opened()) ?? [];
    expect(link?.port.end).toMatchObject({ address: '127.0.0.1' });
    expect(link?.port.end.srtpParameters).toBeUndefined();
    await edge.call('track.pause', { ...publisher.placed, trackId: camera.trackId, paused: true });
    await waitFor('the copy to pause', async () => (await calls(node, 'producer.pause')) === 2);
    await publisher.leave(store);
    await waitFor('consumer.closed', () => edge.notices('consumer.closed').length === 1);
    await viewer.leave(store);
    await untilFreed(node.node.metrics);
  });

  test('[PI9] fifty rounds over two workers and two nodes count back to zero', async () => {
    const [home, homeEdge] = await nodeWithEdge({ workers: 2, pipeLingerMs: 20 }, { workerPackingLimit: 1 });
    const [away, awayEdge] = await nodeWithEdge({ pipeLingerMs: 20 });
    const roomId = testRoom('rounds');
    for (let round = 0; round < 50; round += 1) {
      const first = await TestPeer.admit(store, home, homeEdge, roomId);
      const tracks = [await first.publish('microphone'), await first.publish('camera')];
      const others = await Promise.all([
        TestPeer.admit(store, home, homeEdge, roomId, tracks),
        TestPeer.admit(store, away, awayEdge, roomId, tracks),
      ]);
      for (const other of others) expect(other.admitted?.consumers).toHaveLength(2);
      await Promise.all([first, ...others].map((peer) => peer.leave(store)));
    }
    await Promise.all([untilFreed(home.node.metrics), untilFreed(away.node.metrics)]);
    expect(store.memory.rooms.roomCount).toBe(0);
  });
});
