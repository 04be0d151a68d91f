import {
  DEFAULT_NAMESPACE,
  DATACENTER_ID,
  EDGE_ID,
  EPOCH,
  KIND_OF_SOURCE,
  MEDIA_NODE_ID,
  MemoryRegistry,
  MemoryRoomStores,
  PEER_ID,
  PlenaryError,
  REQUEST_ID,
  TRANSPORT_ID,
  familyOf,
  identityOfSecrets,
  mintPeerId,
  silentLogger,
} from '@plenary/cluster';
import type {
  ControlReply,
  PeerId,
  PlacedPeer,
  PortSlice,
  Registry,
  RoomId,
  RoomStores,
  TrackHome,
  TrackSource,
} from '@plenary/cluster';
import { claimBlock } from '@plenary/cluster/testing/ports';
import { room } from '@plenary/cluster/testing/samples';
import { waitFor } from '@plenary/cluster/testing/wait-for';

import type { MediaNodeConfig } from '../config.ts';
import { findPortHolder } from '../engine/port-holder.ts';
import { MediaNode } from '../media-node.ts';
import type { MediaNodeOptions } from '../media-node.ts';
import { DEFAULT_INCOMING_LIMITS } from '../room/incoming-limits.ts';
import type { NodeStore } from '../room/node-store.ts';
import { mediaRequest, opusParameters, vp8Parameters } from './rtp.ts';
import { TestEdge } from './test-edge.ts';

export const TEST_ADMIN_TOKEN = 'an admin token of at least thirty-two characters';
export const TEST_SECRET = 'a secret of at least thirty-two characters';

/** A store in memory that the test can make unreachable. */
export class TestNodeStore implements NodeStore {
  readonly registry: Registry;
  readonly placements: RoomStores['placements'];
  readonly roomLog: RoomStores['roomLog'];
  readonly recovery: RoomStores['recovery'];
  readonly gateways: RoomStores['gateways'];
  readonly memory = new MemoryRoomStores();
  readonly #listeners = new Set<(available: boolean) => void>();
  #available = true;

  constructor() {
    this.registry = this.#guarded(new MemoryRegistry());
    this.placements = this.#guarded(this.memory.placements);
    this.roomLog = this.#guarded(this.memory.roomLog);
    this.recovery = this.#guarded(this.memory.recovery);
    this.gateways = this.#guarded(this.memory.gateways);
  }

  isAvailable(): boolean {
    return this.#available;
  }

  onAvailability(listener: (available: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setAvailable(available: boolean): void {
    this.#available = available;
    for (const listener of this.#listeners) listener(available);
  }

  /** Every method rejects with `store_unavailable` while the store is unreachable. */
  #guarded<Port extends object>(port: Port): Port {
    return new Proxy(port, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        return (...parameters: unknown[]): unknown =>
          this.#available
            ? Reflect.apply(member, target, parameters)
            : Promise.reject(new PlenaryError('store_unavailable'));
      },
    });
  }
}

/** One of the blocks of local clusters (`deploy/local/cluster/ports.ts`), under the same lock. */
const BLOCK = { first: 22_000, last: 31_999, size: 1_000 };
const firstPortOfBlock = await claimBlock(BLOCK);
/** One port for control and one for operators; the others are the slice. */
const PORTS_PER_NODE = 40;
const NODES_PER_BLOCK = Math.floor((BLOCK.size - 1) / PORTS_PER_NODE);
let nodesConfigured = 0;

/** The ports of stopped nodes are reused in turn: no test has more nodes at once than a block has room for. */
function nextFirstPort(): number {
  const firstPort = firstPortOfBlock + (nodesConfigured++ % NODES_PER_BLOCK) * PORTS_PER_NODE;
  return findPortHolder('tcp', firstPort, '127.0.0.1') === undefined ? firstPort : nextFirstPort();
}

/** An explicit slice and one address, abbreviated. */
interface TestPorts {
  readonly portSlice: PortSlice;
  readonly listenIp: string;
  readonly announcedAddress: string;
}

export type TestConfig = MediaNodeConfig & TestPorts & { readonly operatorUrl: string };

/** A configuration on ports that no other test process and no other node of this process uses at the same time. */
export function testConfig(overrides: Partial<TestConfig> = {}): TestConfig {
  const firstPort = nextFirstPort();
  const {
    portSlice = { firstPort: firstPort + 1, lastPort: firstPort + 38 },
    listenIp = '127.0.0.1',
    announcedAddress = listenIp,
  } = overrides;
  const port = firstPort;
  const mediaNodeId = overrides.mediaNodeId ?? MEDIA_NODE_ID.parse(`media-${firstPort}`);
  return {
    weaknesses: [],
    mediaNodeId,
    datacenter: DATACENTER_ID.parse('gra'),
    host: '127.0.0.1',
    port,
    controlUrl: `http://127.0.0.1:${port}`,
    listenIp,
    announcedAddress,
    addresses: [{ family: familyOf(announcedAddress), listenIp, announced: announcedAddress }],
    pipeAddresses: [],
    pipeScope: 'cluster',
    portSlice,
    sliceSource: { kind: 'explicit', portSlice },
    workers: 1,
    maxPeers: 100,
    maxOutgoingMbit: undefined,
    maxPacketsPerSecond: 200_000,
    incomingLimits: DEFAULT_INCOMING_LIMITS,
    pipeLingerMs: 200,
    orphanGraceMs: 300,
    // Long enough that a stall of the machine does not end the lease.
    leaseMs: 10_000,
    drainMs: 0,
    operators: {
      host: '127.0.0.1',
      port: firstPort + 39,
      url: `http://127.0.0.1:${firstPort + 39}`,
      adminSecrets: [TEST_ADMIN_TOKEN],
      tls: undefined,
      caFile: undefined,
    },
    operatorUrl: `http://127.0.0.1:${firstPort + 39}`,
    storeAddress: { kind: 'single', url: 'redis://unused' },
    consul: undefined,
    namespace: DEFAULT_NAMESPACE,
    identity: identityOfSecrets([TEST_SECRET], { kind: 'media-node', id: mediaNodeId }),
    workerBin: process.env['MEDIASOUP_WORKER_BIN'],
    logLevel: 'silent',
    parentPipe: false,
    ...overrides,
  };
}

export interface TestNode {
  readonly node: MediaNode;
  readonly config: TestConfig;
}

export async function startTestNode(
  store: NodeStore,
  overrides: Partial<TestConfig> = {},
  options: Pick<MediaNodeOptions, 'workerPackingLimit' | 'handoverMs' | 'gatewayPatienceMs' | 'machine'> = {},
): Promise<TestNode> {
  const config = testConfig(overrides);
  const node = await MediaNode.start({
    // Long enough that a loaded machine does not look like a dead gateway.
    gatewayPatienceMs: 60_000,
    ...options,
    config,
    store,
    logger: silentLogger(),
    onRefused: (error) => {
      throw error;
    },
  });
  return { node, config };
}

export function connectEdge(
  { config }: Pick<TestNode, 'config'>,
  caller?: TestEdge['caller'],
  clusterSecret = TEST_SECRET,
): Promise<TestEdge> {
  return TestEdge.connect({
    url: config.controlUrl,
    mediaNodeId: config.mediaNodeId,
    clusterSecret,
    ...(caller === undefined ? {} : { caller }),
  });
}

/** A peer that a test places and drives over a control link, as an edge would. */
export class TestPeer {
  readonly placed: PlacedPeer;
  readonly edge: TestEdge;
  readonly testNode: Pick<TestNode, 'config'>;
  admitted: ControlReply<'peer.admit'> | undefined;

  constructor(testNode: Pick<TestNode, 'config'>, edge: TestEdge, placed: PlacedPeer) {
    this.testNode = testNode;
    this.edge = edge;
    this.placed = placed;
  }

  /** Places a peer in the store and adds it to the roster, without admitting it to the node. */
  static async place(
    store: Pick<NodeStore, 'placements' | 'roomLog'>,
    testNode: Pick<TestNode, 'config'>,
    edge: TestEdge,
    roomId: RoomId,
    replaces?: PlacedPeer,
  ): Promise<TestPeer> {
    const peerId: PeerId = replaces?.peerId ?? mintPeerId();
    const placement = await store.placements.placePeer({
      roomId,
      peerId,
      requestId: REQUEST_ID.parse(`join-${peerId}`),
      edgeId: EDGE_ID.parse(edge.caller.id),
      mediaNodeId: testNode.config.mediaNodeId,
      maxPeers: 1_000,
      ...(replaces === undefined ? {} : { replacesEpoch: replaces.epoch }),
    });
    const { epoch } = placement;
    await store.roomLog.joinPeer(roomId, { peerId, displayName: 'Somebody', role: 'speaker' }, epoch);
    return new TestPeer(testNode, edge, { roomId, peerId, epoch });
  }

  static async admit(
    store: Pick<NodeStore, 'placements' | 'roomLog'>,
    testNode: Pick<TestNode, 'config'>,
    edge: TestEdge,
    roomId: RoomId,
    tracks: readonly TrackHome[] = [],
  ): Promise<TestPeer> {
    const peer = await TestPeer.place(store, testNode, edge, roomId);
    await peer.admit(tracks);
    return peer;
  }

  /** As a client does: subscribes again to tracks that took too long for the admission. */
  async admit(tracks: readonly TrackHome[] = []): Promise<ControlReply<'peer.admit'>> {
    const admitted = await this.edge.call('peer.admit', {
      ...this.placed,
      media: mediaRequest(),
      tracks: [...tracks],
    });
    const isLate = (trackId: TrackHome['trackId']): boolean =>
      admitted.failed.some((one) => one.trackId === trackId && one.error.code === 'timed_out');
    // A repeat reports the tracks that failed at first again.
    const late = tracks.filter(({ trackId }) => isLate(trackId));
    const later = late.length === 0 ? undefined : await this.#play(late);
    const failed = admitted.failed.filter(({ trackId }) => !isLate(trackId));
    const order = tracks.map(({ trackId }) => trackId);
    this.admitted = {
      ...admitted,
      consumers: [...admitted.consumers, ...(later?.consumers ?? [])].sort(
        (left, right) => order.indexOf(left.trackId) - order.indexOf(right.trackId),
      ),
      failed: [...failed, ...(later?.failed ?? [])],
    };
    return this.admitted;
  }

  async #play(tracks: readonly TrackHome[]): Promise<ControlReply<'subscribe'>> {
    const { consumers, failed } = await this.subscribe(tracks);
    if (consumers.length === 0) return { consumers, failed };
    await this.edge.call('consumers.update', {
      ...this.placed,
      consumers: consumers.map(({ consumerId }) => ({ consumerId, paused: false })),
    });
    return { consumers: consumers.map((consumer) => ({ ...consumer, paused: false })), failed };
  }

  get sendTransportId(): string {
    return TRANSPORT_ID.parse(this.admitted?.sendTransport?.id);
  }

  async publish(source: TrackSource, requestId = `publish-${source}`): Promise<TrackHome> {
    const kind = KIND_OF_SOURCE[source];
    const { trackId } = await this.edge.call('track.publish', {
      ...this.placed,
      requestId,
      transportId: this.sendTransportId,
      kind,
      source,
      rtpParameters: kind === 'audio' ? opusParameters() : vp8Parameters(),
      paused: false,
    });
    const { peerId } = this.placed;
    return { trackId, peerId, kind, source, homeNodeId: this.testNode.config.mediaNodeId };
  }

  /** As a client does: requests again the tracks that took too long. */
  async subscribe(tracks: readonly TrackHome[]): Promise<ControlReply<'subscribe'>> {
    return waitFor('the tracks, or why they cannot be had', async () => {
      const reply = await this.edge.call('subscribe', { ...this.placed, tracks: [...tracks] });
      return reply.failed.every(({ error }) => error.code !== 'timed_out') && reply;
    });
  }

  /** Leaves as an edge does: out of the roster, and off the node. */
  async leave(store: NodeStore): Promise<void> {
    const { roomId, peerId, epoch } = this.placed;
    await store.roomLog.removePeer(roomId, peerId, epoch, 'left');
    await this.edge.call('peer.drop', this.placed);
  }
}

/** Places a peer in a room, for store calls that need a room with a peer. */
export async function placeSomebody(placements: RoomStores['placements'], roomId: RoomId): Promise<void> {
  await placements.placePeer({
    roomId,
    peerId: mintPeerId(),
    requestId: REQUEST_ID.parse('join'),
    edgeId: EDGE_ID.parse('edge'),
    mediaNodeId: MEDIA_NODE_ID.parse('node'),
    maxPeers: 10,
  });
}

export const testRoom = (name: string): RoomId => room(name);
export const testPeerId = (name: string): PeerId => PEER_ID.parse(name);
export const testEpoch = (epoch: number): PlacedPeer['epoch'] => EPOCH.parse(epoch);
