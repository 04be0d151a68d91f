import { once } from 'node:events';
import { createServer } from 'node:net';
import { mediaNodeRecord } from '@plenary/cluster/testing/samples';
import { z } from 'zod';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DATACENTER_ID, MEDIA_NODE_ID, TOP_SPATIAL_LAYER } from '@plenary/cluster';
import type { TrackHome, WantedLayer } from '@plenary/cluster';
import { metricBy, metricSum, untilFreed } from '../testing/metric-values.ts';
import type { TestEdge } from '../testing/test-edge.ts';
import { MuteFront } from '../testing/mute-front.ts';
import {
  TEST_SECRET,
  TestPeer,
  TestNodeStore,
  connectEdge,
  startTestNode,
  testConfig,
  testRoom,
} from '../testing/test-node.ts';
import type { TestNode } from '../testing/test-node.ts';
import { waitFor } from '@plenary/cluster/testing/wait-for';

const roomId = testRoom('two-datacenters');

interface Site {
  readonly node: TestNode;
  readonly edge: TestEdge;
}

let store: TestNodeStore;
let home: Site;
let publisher: TestPeer;
let camera: TrackHome;
let microphone: TrackHome;
const sites: Site[] = [];
const fronts: MuteFront[] = [];

/** A site whose node is reached through a front that can make it seem mute. */
async function siteBehindFront(datacenter: string): Promise<Site & { readonly front: MuteFront }> {
  const config = testConfig({ datacenter: DATACENTER_ID.parse(datacenter) });
  const { mediaNodeId, controlUrl: nodeUrl } = config;
  const front = await MuteFront.before({ nodeUrl, mediaNodeId, clusterSecret: TEST_SECRET });
  fronts.push(front);
  const node = await startTestNode(store, { ...config, controlUrl: front.controlUrl });
  const started = { node, edge: await connectEdge({ config }), front };
  sites.push(started);
  return started;
}

async function site(
  datacenter: string,
  workers = 1,
  given: { handoverMs?: number; gatewayPatienceMs?: number } = {},
): Promise<Site> {
  const options = { ...(workers === 1 ? {} : { workerPackingLimit: 1 }), ...given };
  const node = await startTestNode(store, { datacenter: DATACENTER_ID.parse(datacenter), workers }, options);
  const started = { node, edge: await connectEdge(node) };
  sites.push(started);
  return started;
}

const watch = ({ node, edge }: Site, tracks = [camera, microphone]): Promise<TestPeer> =>
  TestPeer.admit(store, node, edge, roomId, tracks);
const pipes = ({ node }: Site): Promise<Record<string, number>> =>
  metricBy(node.node.metrics, 'plenary_media_pipes', 'side');
const sentIntoPipes = ({ node }: Site): Promise<number> =>
  metricSum(node.node.metrics, 'plenary_media_pipe_consumers');
const calls = async ({ node }: Site, method: string): Promise<number> =>
  (await metricBy(node.node.metrics, 'plenary_mediasoup_calls_total', 'method'))[method] ?? 0;

beforeEach(async () => {
  store = new TestNodeStore();
  home = await site('gra');
  publisher = await TestPeer.admit(store, home.node, home.edge, roomId);
  camera = await publisher.publish('camera');
  microphone = await publisher.publish('microphone');
});

afterEach(async () => {
  for (const { edge } of sites) edge.close();
  await Promise.all(sites.splice(0).map(({ node }) => node.node.stop()));
  await Promise.all(fronts.splice(0).map((front) => front.close()));
});

const tracksOf = (edge: TestEdge, name: 'consumer.superseded', { peerId }: TestPeer['placed']): number =>
  edge.notices(name).filter((notice) => notice.peerId === peerId).length;

/** Subscribes again to superseded tracks and closes the old consumers, as a client does. */
async function takeAnotherWay(viewer: TestPeer): Promise<void> {
  const old = viewer.admitted?.consumers.map(({ consumerId }) => consumerId) ?? [];
  const { consumers, failed } = await viewer.subscribe([camera, microphone]);
  expect(failed).toEqual([]);
  expect(consumers.filter(({ consumerId }) => old.includes(consumerId))).toEqual([]);
  await viewer.edge.call('unsubscribe', { ...viewer.placed, consumerIds: old });
}

/** Stops a node that has a peer, which an edge removes from the roster. */
async function wentWithItsNode(gone: Site, { placed }: TestPeer): Promise<void> {
  gone.edge.close();
  sites.splice(sites.indexOf(gone), 1);
  await store.roomLog.removePeer(placed.roomId, placed.peerId, placed.epoch, 'connection_lost');
}

async function everybodyLeaves(peers: readonly TestPeer[]): Promise<void> {
  for (const peer of [...peers, publisher]) await peer.leave(store);
  for (const { node } of sites) await untilFreed(node.node.metrics);
  expect(store.memory.rooms.roomCount).toBe(0);
}

describe('a room over two datacenters', () => {
  test('[GW2] one copy of a track crosses to a datacenter, however many of its nodes need it', async () => {
    const away = await Promise.all([site('sbg'), site('sbg'), site('sbg')]);
    const viewers = await Promise.all(away.flatMap((one) => [watch(one), watch(one)]));
    for (const { admitted } of viewers) {
      expect(admitted?.failed).toEqual([]);
      expect(admitted?.consumers).toHaveLength(2);
    }
    expect(await sentIntoPipes(home)).toBe(2);
    expect(await pipes(home)).toEqual({ asking: 0, home: 1 });
    const sides = await Promise.all(away.map(pipes));
    // One node is the gateway and serves the two others.
    expect(sides.map(({ home: served = 0 }) => served).sort()).toEqual([0, 0, 2]);
    expect(sides.map(({ asking = 0 }) => asking)).toEqual([1, 1, 1]);
    await everybodyLeaves(viewers);
  });

  test('[GW8] nodes of the home’s own datacenter pull from the home', async () => {
    const [near, far] = [await site('gra'), await site('sbg')];
    const viewers = [await watch(near), await watch(far)];
    expect(await pipes(home)).toEqual({ asking: 0, home: 2 });
    expect(await pipes(near)).toEqual({ asking: 1, home: 0 });
    await everybodyLeaves(viewers);
  });

  test('[GW2] a track enters a gateway with several workers on one of them', async () => {
    const away = await site('sbg', 2);
    const viewers = [await watch(away), await watch(away)];
    expect(await metricSum(away.node.node.metrics, 'plenary_media_routers')).toBe(2);
    expect(viewers.map(({ admitted }) => admitted?.failed)).toEqual([[], []]);
    expect(await sentIntoPipes(home)).toBe(2);
    expect(await pipes(away)).toEqual({ asking: 2, home: 1 });
    await everybodyLeaves(viewers);
  });

  test('[GW4] a track that nobody in a datacenter watches is paused at its home, and resumed at once', async () => {
    const [one, two] = [await site('sbg'), await site('sbg')];
    const viewers = [await watch(one, [camera]), await watch(two, [camera])];
    const update = async (viewer: TestPeer, paused: boolean): Promise<void> => {
      const consumerId = viewer.admitted?.consumers[0]?.consumerId ?? '';
      await viewer.edge.call('consumers.update', { ...viewer.placed, consumers: [{ consumerId, paused }] });
    };
    for (const viewer of viewers) await update(viewer, true);
    await waitFor('the pause at home', async () => (await calls(home, 'consumer.pause')) === 1);
    const [, relayed] = viewers;
    if (relayed === undefined) throw new Error('there are two');
    await update(relayed, false);
    await waitFor('the resume at home', async () => (await calls(home, 'consumer.resume')) === 1);
    await everybodyLeaves(viewers);
  });

  test('[DM2] the publisher is notified of the highest layer that any viewer demands, behind any number of pipes', async () => {
    const [one, two] = [await site('sbg'), await site('sbg')];
    const [first, second] = [await watch(one, [camera]), await watch(two, [camera])];
    const want = async (viewer: TestPeer, spatialLayer: number, paused = false): Promise<void> => {
      const consumerId = viewer.admitted?.consumers[0]?.consumerId ?? '';
      const consumers = [{ consumerId, paused, preferredLayers: { spatialLayer } }];
      await viewer.edge.call('consumers.update', { ...viewer.placed, consumers });
    };
    const told = (): WantedLayer | undefined =>
      home.edge
        .notices('track.demand')
        .filter(({ trackId }) => trackId === camera.trackId)
        .at(-1)?.wanted;
    await Promise.all([want(first, 0), want(second, 1)]);
    await waitFor('the lower layer to be told', () => told() === 1);
    await want(first, 2);
    await waitFor('the higher layer to be told', () => told() === 2);
    await Promise.all([want(first, 2, true), want(second, 1, true)]);
    await waitFor('the word that nobody watches', () => told() === null);
    const near = await watch(home, [camera]);
    await waitFor('the word that somebody watches', () => told() === TOP_SPATIAL_LAYER);
    await everybodyLeaves([first, second, near]);
  });

  test('[DM3] an edge that resumes a publisher is notified of the demand again', async () => {
    await waitFor('the word that nobody watches', () =>
      home.edge
        .notices('track.demand')
        .some(({ trackId, wanted }) => trackId === camera.trackId && wanted === null),
    );
    const another = await connectEdge(home.node);
    await another.call('peer.attach', publisher.placed);
    await waitFor('the same word on the other link', () =>
      another
        .notices('track.demand')
        .some(({ trackId, wanted }) => trackId === camera.trackId && wanted === null),
    );
    another.close();
    await everybodyLeaves([]);
  });

  test('[GW12] the publisher’s mute and the track’s end pass through a gateway', async () => {
    const [one, two] = [await site('sbg'), await site('sbg')];
    const viewers = [await watch(one, [microphone]), await watch(two, [microphone])];
    await home.edge.call('track.pause', { ...publisher.placed, trackId: microphone.trackId, paused: true });
    for (const away of [one, two])
      await waitFor('the copy to pause', async () => (await calls(away, 'producer.pause')) === 1);
    await home.edge.call('track.end', { ...publisher.placed, trackId: microphone.trackId });
    for (const { edge } of [one, two])
      await waitFor('the news of the end', () => edge.notices('consumer.closed').length === 1);
    await everybodyLeaves(viewers);
  });

  test('[GW3] when the gateway dies another node replaces it, and still one copy crosses', async () => {
    const [gateway, ...others] = [
      await site('sbg', 1, { handoverMs: 0 }),
      await site('sbg'),
      await site('sbg'),
    ];
    await watch(gateway);
    const viewers = await Promise.all(others.map((one) => watch(one)));
    expect(await pipes(gateway)).toEqual({ asking: 1, home: 2 });
    gateway.edge.close();
    await gateway.node.node.stop();
    sites.splice(sites.indexOf(gateway), 1);
    for (const { edge } of others)
      await waitFor('both consumers to close', () => edge.notices('consumer.closed').length === 2);
    const claims = vi.spyOn(store.gateways, 'claimGateway');
    const again = await Promise.all(viewers.map((viewer) => viewer.subscribe([camera, microphone])));
    expect(again.map(({ failed }) => failed)).toEqual([[], []]);
    // No node sends requests to a node that it knows to be dead.
    expect(claims.mock.calls.filter(([{ replacesEpoch }]) => replacesEpoch === undefined)).toEqual([]);
    expect(claims).toHaveBeenCalled();
    await waitFor('the dead gateway’s pipe to go', async () => (await sentIntoPipes(home)) === 2);
    expect(await pipes(home)).toEqual({ asking: 0, home: 1 });
    const sides = await Promise.all(others.map(pipes));
    expect(sides.map(({ home: served = 0 }) => served).sort()).toEqual([0, 1]);
  });

  test('[GW6] [GW21] nodes behind a gateway that stops get the tracks over another path before the old one ends', async () => {
    // The stop waits for them, however long that takes here.
    const [gateway, ...others] = [
      await site('sbg', 1, { handoverMs: 60_000 }),
      await site('sbg'),
      await site('sbg', 2),
    ];
    const first = await watch(gateway);
    const onTwoWorkers = others[1];
    if (onTwoWorkers === undefined) throw new Error('there are two');
    const viewers = await Promise.all([...others, onTwoWorkers].map((one) => watch(one)));
    const stopping = gateway.node.node.stop();
    for (const { placed, edge } of viewers) {
      await waitFor(
        'the word to take another way',
        () => tracksOf(edge, 'consumer.superseded', placed) === 2,
      );
    }
    // Nothing has ended, because the stop waits for them.
    for (const { edge } of viewers) expect(edge.notices('consumer.closed')).toEqual([]);
    for (const viewer of viewers) await takeAnotherWay(viewer);
    await stopping;
    for (const { edge } of viewers) expect(edge.notices('consumer.closed')).toEqual([]);
    expect(await sentIntoPipes(home)).toBe(2);
    expect(await pipes(home)).toEqual({ asking: 0, home: 1 });
    await wentWithItsNode(gateway, first);
    await everybodyLeaves(viewers);
  });

  test('[GW19] for a track that comes over two paths, a notice ends only the path that it came over', async () => {
    const [gateway, other] = [await site('sbg', 1, { handoverMs: 10_000 }), await site('sbg')];
    const first = await watch(gateway);
    const viewer = await watch(other);
    const stopping = gateway.node.node.stop();
    await waitFor(
      'the word to take another way',
      () => tracksOf(viewer.edge, 'consumer.superseded', viewer.placed) === 2,
    );
    await viewer.subscribe([camera, microphone]);
    // The old consumers are not closed: they end with the gateway, the new ones must not.
    await stopping;
    const old = viewer.admitted?.consumers.map(({ consumerId }) => consumerId) ?? [];
    await waitFor('the old consumers to close', () => viewer.edge.notices('consumer.closed').length === 2);
    expect(
      viewer.edge
        .notices('consumer.closed')
        .map(({ consumerId }) => consumerId)
        .sort(),
    ).toEqual([...old].sort());
    expect((await viewer.admit([])).consumers).toHaveLength(2);
    await wentWithItsNode(gateway, first);
    await everybodyLeaves([viewer]);
  });

  test('[GW10] a gateway that needs the tracks no more keeps relaying them, and stops with the last of them', async () => {
    const [gateway, other] = [await site('sbg'), await site('sbg')];
    const first = await watch(gateway);
    const second = await watch(other);
    await first.leave(store);
    expect(await pipes(gateway)).toEqual({ asking: 1, home: 1 });
    expect((await second.subscribe([camera])).failed).toEqual([]);
    await second.leave(store);
    await untilFreed(gateway.node.node.metrics);
    await untilFreed(other.node.node.metrics);
    const third = await watch(other);
    expect(await pipes(other)).toEqual({ asking: 1, home: 0 });
    expect(await metricSum(gateway.node.node.metrics, 'plenary_media_pipes')).toBe(0);
    await everybodyLeaves([third]);
  });

  test('[GW13] while the store is down tracks are pulled straight from their home', async () => {
    const [gateway, other] = [await site('sbg'), await site('sbg')];
    const first = await watch(gateway);
    const second = await watch(other, []);
    store.setAvailable(false);
    expect((await second.subscribe([camera])).failed).toEqual([]);
    expect(await pipes(home)).toEqual({ asking: 0, home: 2 });
    store.setAvailable(true);
    await everybodyLeaves([first, second]);
  });

  test('[GW16] tracks that a drained node pulled past the gateway return to it when the drain is cancelled', async () => {
    const [gateway, other] = [await site('sbg'), await site('sbg')];
    const first = await watch(gateway);
    const second = await watch(other, []);
    void other.node.node.drain(60_000);
    expect((await second.subscribe([camera])).failed).toEqual([]);
    expect(await pipes(home)).toEqual({ asking: 0, home: 2 });
    other.node.node.undrain();
    await waitFor(
      'the word to take another way',
      () => tracksOf(second.edge, 'consumer.superseded', second.placed) === 1,
    );
    const { consumers } = await second.subscribe([camera]);
    expect(consumers).toHaveLength(1);
    expect(await pipes(gateway)).toEqual({ asking: 1, home: 1 });
    await everybodyLeaves([first, second]);
  });

  test('[GW14] while a gateway does not answer, tracks are pulled straight from their home until another node replaces it', async () => {
    const silent = createServer();
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = z.object({ port: z.number() }).parse(silent.address());
    const controlUrl = `http://127.0.0.1:${port}`;
    await store.registry.announceMediaNode(
      mediaNodeRecord('silent', {
        datacenter: DATACENTER_ID.parse('sbg'),
        controlUrl,
        // An address of another host: its ports do not clash with nodes started here.
        announcedAddress: '192.0.2.1',
      }),
      60_000,
    );
    const claim = {
      roomId,
      datacenter: DATACENTER_ID.parse('sbg'),
      homeNodeId: home.node.config.mediaNodeId,
      mediaNodeId: MEDIA_NODE_ID.parse('silent'),
    };
    await store.gateways.claimGateway(claim);
    const other = await site('sbg', 1, { gatewayPatienceMs: 50 });
    const viewer = await watch(other);
    expect(viewer.admitted?.failed).toEqual([]);
    expect(await pipes(home)).toEqual({ asking: 0, home: 1 });
    expect((await store.gateways.claimGateway(claim)).mediaNodeId).toBe('silent');
    await waitFor(
      'another gateway',
      async () => (await store.gateways.claimGateway(claim)).mediaNodeId === other.node.config.mediaNodeId,
    );
    expect(viewer.edge.notices('consumer.closed')).toEqual([]);
    await everybodyLeaves([viewer]);
    silent.close();
  });

  test('[HL41] nodes behind a gateway that beats and answers nothing stop using it', async () => {
    const [gateway, other] = [await siteBehindFront('sbg'), await site('sbg')];
    const first = await watch(gateway);
    const viewer = await watch(other, [camera]);
    expect(await pipes(gateway)).toEqual({ asking: 1, home: 1 });
    gateway.front.unanswered = () => true;
    // Changes of the demand are not delivered meanwhile.
    const consumerId = viewer.admitted?.consumers[0]?.consumerId ?? '';
    await viewer.edge.call('consumers.update', {
      ...viewer.placed,
      consumers: [{ consumerId, paused: true }],
    });
    await waitFor(
      'the end of what comes through it',
      () => viewer.edge.notices('consumer.closed').length === 1,
    );
    expect(viewer.edge.notices('consumer.closed')).toMatchObject([{ consumerId, isPathLost: true }]);
    expect((await viewer.subscribe([camera, microphone])).failed).toEqual([]);
    expect(await pipes(other)).toEqual({ asking: 1, home: 0 });
    expect(await pipes(home)).toEqual({ asking: 0, home: 2 });
    gateway.front.unanswered = () => false;
    await everybodyLeaves([first, viewer]);
  });

  test('[HL41] a home that beats and answers nothing is not waited for, until it answers', async () => {
    const mute = await siteBehindFront('gra');
    const shy = await TestPeer.admit(store, mute.node, mute.edge, roomId);
    const track = await shy.publish('camera');
    const viewer = await watch(home, []);
    mute.front.unanswered = () => true;
    const codeOf = async (): Promise<string | undefined> =>
      (await viewer.subscribe([track])).failed[0]?.error.code;
    await waitFor('it to be found mute', async () => (await codeOf()) === 'media_unavailable');
    mute.front.unanswered = () => false;
    await waitFor('the track', async () => (await codeOf()) === undefined);
    await everybodyLeaves([shy, viewer]);
  });
});
