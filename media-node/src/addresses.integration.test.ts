/**
 * Slices and addresses, on real media nodes in processes of their own. Several loopback addresses stand for several
 * hosts: each has its own ports, as hosts do.
 */
import { randomUUID } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { DEFAULT_NAMESPACE, connectClusterStore, mintIncarnation, silentLogger } from '@plenary/cluster';
import type { ClusterStore, TransportOffer } from '@plenary/cluster';
import { startConsulAgent } from '@plenary/cluster/testing/consul-agent';
import type { TestConsul } from '@plenary/cluster/testing/consul-agent';
import { startRedisServer } from '@plenary/cluster/testing/redis-server';
import { urlOfUser } from '@plenary/cluster/testing/redis-users';
import type { TestRedis } from '@plenary/cluster/testing/redis-server';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isReady, readinessOf, startNodeProcess } from './testing/node-process.ts';
import type { NodeProcess } from './testing/node-process.ts';
import { checkCandidate } from './testing/stun.ts';
import type { TestEdge } from './testing/test-edge.ts';
import { TestPeer, connectEdge, testConfig, testRoom } from './testing/test-node.ts';
import type { TestConfig } from './testing/test-node.ts';
import { waitFor } from '@plenary/cluster/testing/wait-for';

let redis: TestRedis;
let store: ClusterStore;
const running: NodeProcess[] = [];
const edges: TestEdge[] = [];

beforeAll(async () => {
  redis = await startRedisServer();
});

beforeEach(() => {
  store = connectClusterStore({
    address: redis.address,
    namespace: DEFAULT_NAMESPACE,
    connectionName: 'test',
    logger: silentLogger(),
  });
});

afterEach(async () => {
  for (const edge of edges.splice(0)) edge.close();
  for (const { child, exited } of running.splice(0)) {
    child.kill('SIGKILL');
    await exited;
  }
  await store.close();
  // Slices of killed nodes would rest into the next test.
  await redis.restart();
});

afterAll(async () => {
  await redis.stop();
});

function start(config: TestConfig, overrides: NodeJS.ProcessEnv = {}): NodeProcess {
  const started = startNodeProcess(urlOfUser('media-node', redis.port), overrides, config);
  running.push(started);
  return started;
}

async function startReady(config: TestConfig, overrides: NodeJS.ProcessEnv = {}): Promise<NodeProcess> {
  const node = start(config, overrides);
  await waitFor(`${config.mediaNodeId} to be ready`, async () => {
    if (node.child.exitCode !== null) {
      await node.exited;
      throw new Error(node.output.errors);
    }
    return isReady(node);
  });
  return node;
}

async function edgeOf(node: NodeProcess): Promise<TestEdge> {
  const edge = await connectEdge(node);
  edges.push(edge);
  return edge;
}

/** Admits a peer, and checks that every UDP candidate that it gets answers. */
async function admitReachable(
  node: NodeProcess,
  edge: TestEdge,
  room = `room-${randomUUID()}`,
): Promise<{ readonly peer: TestPeer; readonly offer: TransportOffer }> {
  const peer = await TestPeer.admit(store, node, edge, testRoom(room));
  const offer = peer.admitted?.receiveTransport;
  if (offer === undefined) throw new Error('not admitted');
  for (const candidate of offer.iceCandidates) {
    if (candidate.protocol === 'udp') await checkCandidate(offer, candidate);
  }
  return { peer, offer };
}

const metricOf = async ({ config }: NodeProcess, line: string): Promise<number> => {
  const text = await (await fetch(`${config.operatorUrl}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((each) => each.startsWith(`${line} `))
      ?.split(' ')[1] ?? 0,
  );
};

/** A track published on one node and subscribed to on another goes through one pipe. */
async function expectPipe(home: NodeProcess, away: NodeProcess): Promise<void> {
  const [homeEdge, awayEdge] = [await edgeOf(home), await edgeOf(away)];
  const room = `room-${randomUUID()}`;
  const { peer: publisher } = await admitReachable(home, homeEdge, room);
  const camera = await publisher.publish('camera');
  const { peer: viewer } = await admitReachable(away, awayEdge, room);
  // A node that has just been announced is not known to the other node yet.
  await waitFor('the track', async () => (await viewer.subscribe([camera])).failed.length === 0);
  expect(await metricOf(home, 'plenary_media_pipes{side="home"}')).toBe(1);
  expect(await metricOf(away, 'plenary_media_pipes{side="asking"}')).toBe(1);
}

/** Variables of a node that leases slices of 20 ports of this range. */
const leasedFrom = (firstPort: number, lastPort: number): NodeJS.ProcessEnv => ({
  PLENARY_PORT_SLICE: undefined,
  PLENARY_PORT_RANGE: `${firstPort}-${lastPort}`,
  PLENARY_PORT_SLICE_SIZE: '20',
});

const slicesOf = async (): Promise<readonly number[]> => {
  await waitFor('the store', () => store.isAvailable());
  return (await store.registry.liveMediaNodes()).map(({ portSlice }) => portSlice.firstPort).sort();
};

describe('nodes on one host, with one announced address', () => {
  test('[PS11] each has a slice of its own, and a pipe between them works', async () => {
    const [home, away] = await Promise.all([startReady(testConfig()), startReady(testConfig())]);
    await expectPipe(home, away);
  });

  test('[PS15] when two nodes start at once with overlapping slices, exactly one starts', async () => {
    const [one, other] = [testConfig(), testConfig()];
    const portSlice = { firstPort: one.portSlice.firstPort + 10, lastPort: one.portSlice.lastPort + 10 };
    const nodes = [start(one), start({ ...other, portSlice })];
    const ended = await Promise.race(
      nodes.map(async (node) => {
        expect(await node.exited).toMatchObject({ code: 1 });
        return node;
      }),
    );
    const survivor = nodes.find((node) => node !== ended);
    if (survivor === undefined) throw new Error('both ended');
    await waitFor('the other to be ready', () => isReady(survivor));
    expect(ended.output.errors).toContain(`media node ${survivor.config.mediaNodeId} owns ports`);
    expect(survivor.child.exitCode).toBeNull();
  });

  test('[PS13] [PS5] three nodes that lease at once get three slices and avoid a port of another program', async () => {
    const { portSlice } = testConfig();
    const stranger = await startReady(testConfig({ announcedAddress: 'localhost', portSlice }));
    // With another announced address the registry sees no clash, but this host does.
    const range = leasedFrom(portSlice.firstPort, portSlice.firstPort + 99);
    testConfig();
    testConfig();
    const nodes = await Promise.all([1, 2, 3].map(() => startReady(testConfig(), range)));
    const offered = await Promise.all(
      nodes.map(
        async (node) => (await admitReachable(node, await edgeOf(node))).offer.iceCandidates[0]?.port,
      ),
    );
    expect(offered.sort()).toEqual([20, 40, 60].map((offset) => portSlice.firstPort + offset));
    expect(await slicesOf()).toEqual([portSlice.firstPort, ...offered]);
    const says = `UDP port ${portSlice.firstPort} on 127.0.0.1 is taken by process`;
    await waitFor('one to say what it passed over', () =>
      nodes.some(({ output }) => output.text.includes(says)),
    );
    expect(stranger.child.exitCode).toBeNull();
  });

  test('[PS21] when the range is held, the next node is refused with the names of the holders', async () => {
    const { portSlice } = testConfig();
    const range = leasedFrom(portSlice.firstPort, portSlice.firstPort + 19);
    const first = await startReady(testConfig(), range);
    const second = start(testConfig(), range);
    expect(await second.exited).toMatchObject({ code: 1 });
    expect(second.output.errors).toContain(`held by ${first.config.mediaNodeId}`);
  });

  test('[PS6] a node without a slice stays alive while the store is unreachable, and starts when it answers again', async () => {
    const { portSlice } = testConfig();
    await redis.kill();
    const node = start(testConfig(), leasedFrom(portSlice.firstPort, portSlice.firstPort + 19));
    await waitFor('the reason', async () => (await readinessOf(node))?.includes('slice_pending') ?? false);
    expect((await fetch(`${node.config.operatorUrl}/health`)).status).toBe(200);
    await redis.restart();
    await waitFor('ready', () => isReady(node));
    expect(await slicesOf()).toEqual([portSlice.firstPort]);
  });

  test('[PS7] [PS22] a node that lost its slice to another keeps its peers, admits no more, and stops when it is empty', async () => {
    const { portSlice } = testConfig();
    const node = await startReady(testConfig(), leasedFrom(portSlice.firstPort, portSlice.firstPort + 19));
    const edge = await edgeOf(node);
    const { peer, offer } = await admitReachable(node, edge);
    const [record] = await store.registry.liveMediaNodes();
    if (record === undefined) throw new Error('not announced');
    const heir = { ...record, mediaNodeId: testConfig().mediaNodeId, incarnation: mintIncarnation() };
    // The node is suspended while the store loses its record, and another node behind the same address is faster.
    node.child.kill('SIGSTOP');
    await redis.restart();
    await waitFor('the heir to hold the slice', async () => {
      const announced = await store.registry.announceMediaNode(heir, 60_000).catch(() => undefined);
      return announced?.refused === null;
    });
    node.child.kill('SIGCONT');
    await waitFor('the refusal', async () => {
      const refusal = `lease_refused: media node ${heir.mediaNodeId} owns ports`;
      return (await readinessOf(node))?.includes(refusal) ?? false;
    });
    for (const candidate of offer.iceCandidates) {
      if (candidate.protocol === 'udp') await checkCandidate(offer, candidate);
    }
    const late = await TestPeer.place(store, node, edge, testRoom('late'));
    await expect(late.admit()).rejects.toMatchObject({ code: 'no_media_node' });
    expect(node.child.exitCode).toBeNull();
    await edge.call('peer.drop', peer.placed);
    expect(await node.exited).toMatchObject({ code: 1 });
    expect(node.output.errors).toContain(`media node ${heir.mediaNodeId} owns ports`);
  });
});

describe('nodes whose registry is in Consul', () => {
  let consul: TestConsul;
  beforeAll(async () => {
    consul = await startConsulAgent();
  });
  afterAll(() => consul.stop());

  test('[PS14] [PS21] two nodes lease slices of one range there, and a third is refused with the names of the holders', async () => {
    const { portSlice } = testConfig();
    const onConsul = {
      ...leasedFrom(portSlice.firstPort, portSlice.firstPort + 39),
      CONSUL_HTTP_ADDR: consul.address,
    };
    const nodes = await Promise.all([1, 2].map(() => startReady(testConfig(), onConsul)));
    const offered = await Promise.all(
      nodes.map(
        async (node) => (await admitReachable(node, await edgeOf(node))).offer.iceCandidates[0]?.port,
      ),
    );
    expect(offered.sort()).toEqual([portSlice.firstPort, portSlice.firstPort + 20]);
    const third = start(testConfig(), onConsul);
    expect(await third.exited).toMatchObject({ code: 1 });
    for (const { config } of nodes) expect(third.output.errors).toContain(`held by ${config.mediaNodeId}`);
    expect(Object.keys((await consul.ask('GET', '/v1/agent/services')) ?? {})).toHaveLength(2);
  });
});

describe('hosts with addresses of their own', () => {
  const onHost = (listenIp: string, portSlice?: TestConfig['portSlice']): TestConfig =>
    testConfig({ listenIp, ...(portSlice === undefined ? {} : { portSlice }) });

  test('[PS26] have the same ports, and a pipe between them works', async () => {
    const one = onHost('127.0.0.2');
    const [home, away] = await Promise.all([startReady(one), startReady(onHost('127.0.0.3', one.portSlice))]);
    const offers = await Promise.all(
      [home, away].map(async (node) => (await admitReachable(node, await edgeOf(node))).offer),
    );
    expect(
      offers.map(({ iceCandidates }) => iceCandidates.map(({ address, port }) => `${address}:${port}`)),
    ).toEqual(['127.0.0.2', '127.0.0.3'].map((ip) => [1, 2].map(() => `${ip}:${one.portSlice.firstPort}`)));
    await expectPipe(home, away);
  });

  test('[PS26] lease the same slices, each under its own address', async () => {
    const { portSlice } = onHost('127.0.0.2');
    const range = leasedFrom(portSlice.firstPort, portSlice.firstPort + 19);
    await Promise.all([startReady(onHost('127.0.0.2'), range), startReady(onHost('127.0.0.3'), range)]);
    expect(await slicesOf()).toEqual([portSlice.firstPort, portSlice.firstPort]);
  });

  test('[AD6] a host name is resolved for clients and for pipes', async () => {
    const home = await startReady(testConfig({ announcedAddress: 'localhost' }));
    const away = await startReady(onHost('127.0.0.2'));
    const { offer } = await admitReachable(home, await edgeOf(home));
    expect(offer.iceCandidates.map(({ address }) => address)).toEqual(['127.0.0.1', '127.0.0.1']);
    await expectPipe(home, away);
    await expectPipe(away, home);
  });
});

describe.runIf(hasIpv6())('IPv6', () => {
  const six = (): TestConfig => {
    const config = testConfig({ listenIp: '::1', host: '::1' });
    return {
      ...config,
      controlUrl: `http://[::1]:${config.port}`,
      operatorUrl: `http://[::1]:${config.operators.port}`,
    };
  };
  const BOTH = { PLENARY_LISTEN_IP: '127.0.0.1,::1', PLENARY_ANNOUNCED_ADDRESS: '127.0.0.1,::1' };

  const addressesFor = async (node: NodeProcess): Promise<readonly string[]> => {
    const { offer } = await admitReachable(node, await edgeOf(node));
    return offer.iceCandidates.map(({ protocol, address }) => `${protocol} ${address}`);
  };

  test('[AD7] [PS10] candidates carry it, and pipes between two such nodes work', async () => {
    const [home, away] = await Promise.all([startReady(six()), startReady(six())]);
    expect(await addressesFor(home)).toEqual(['udp ::1', 'tcp ::1']);
    await expectPipe(home, away);
  });

  test('[AD7] [PS10] a node of both families has candidates of both, and pipes to nodes of either', async () => {
    const [both, four, six_] = await Promise.all([
      startReady(testConfig(), BOTH),
      startReady(testConfig()),
      startReady(six()),
    ]);
    expect(await addressesFor(both)).toEqual(['udp 127.0.0.1', 'udp ::1', 'tcp 127.0.0.1', 'tcp ::1']);
    await expectPipe(both, four);
    await expectPipe(six_, both);
  });

  test('[PS25] between nodes without a common family a track is unavailable, and both nodes continue', async () => {
    const [home, away] = await Promise.all([startReady(testConfig()), startReady(six())]);
    const [homeEdge, awayEdge] = [await edgeOf(home), await edgeOf(away)];
    const room = testRoom('apart');
    const camera = await (await TestPeer.admit(store, home, homeEdge, room)).publish('camera');
    const viewer = await TestPeer.admit(store, away, awayEdge, room, [camera]);
    expect(viewer.admitted?.failed).toMatchObject([{ error: { code: 'media_unavailable' } }]);
    const own = await viewer.publish('microphone');
    const other = await TestPeer.admit(store, away, awayEdge, room, [own]);
    expect(other.admitted?.failed).toEqual([]);
  });

  test('[PS27] sockets for every interface of both families share the same ports', async () => {
    const node = await startReady(testConfig(), {
      PLENARY_LISTEN_IP: '0.0.0.0,::',
      PLENARY_ANNOUNCED_ADDRESS: '127.0.0.1,::1',
    });
    expect(await addressesFor(node)).toHaveLength(4);
  });
});

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === '::1'));
}
