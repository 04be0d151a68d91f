import { connectClusterStore, DEFAULT_NAMESPACE, secretsIn, silentLogger } from '@plenary/cluster';
import type { ClusterStore, Namespace, RoomStatus } from '@plenary/cluster';
import { startRedisServer } from '@plenary/cluster/testing/redis-server';
import type { TestRedis, TestStore } from '@plenary/cluster/testing/redis-server';
import { EdgeProcess, TEST_CLUSTER_SECRET, testRoom } from './edge-process.ts';
import { ScriptedMediaNode } from './scripted-media-node.ts';
import { TestClient } from './test-client.ts';
import { waitFor } from './wait-for.ts';

/** Far more than a busy machine stands still: what lapses does so in tests that are about it, and in no others. */
const RESUME_WITHIN_MS = 10_000;
const LEASE_MS = 5_000;

/** So short that tests of what lapses take seconds. Only where nothing else may lapse that the test needs. */
export const SHORT_MS = 1_500;
/** Settings of edges that others take for dead, and whose sessions end, after that time. */
export const SHORT_LIVES: Readonly<Record<string, string>> = {
  PLENARY_RESUME_WITHIN_MS: String(SHORT_MS),
  PLENARY_LEASE_MS: String(SHORT_MS),
};

interface Shape {
  readonly edges: number;
  readonly mediaNodes: number;
  /** What keeps it apart from another one on the same store. */
  readonly namespace?: Namespace;
  /** Environment of every edge, over that of tests. */
  readonly edgeSettings?: Readonly<Record<string, string>>;
}

/** A real store (one Redis, unless a test asks for another kind), real edges, and media nodes without media. */
export class TestCluster<Store extends TestStore = TestRedis> {
  readonly redis: Store;
  readonly store: ClusterStore;
  readonly namespace: Namespace;
  readonly edges: EdgeProcess[] = [];
  readonly mediaNodes: ScriptedMediaNode[] = [];
  readonly #clients: TestClient[] = [];

  static async start(shape: Shape): Promise<TestCluster> {
    return TestCluster.startOn(await startRedisServer(), shape);
  }

  /** @param redis - a store that runs; it is stopped with the cluster */
  static async startOn<Store extends TestStore>(redis: Store, shape: Shape): Promise<TestCluster<Store>> {
    const { namespace = DEFAULT_NAMESPACE } = shape;
    const store = connectClusterStore({
      address: redis.address,
      namespace,
      connectionName: 'test',
      logger: silentLogger(),
    });
    const cluster = new TestCluster(redis, store, namespace);
    await waitFor('the store', () => store.isAvailable());
    for (let index = 1; index <= shape.mediaNodes; index += 1) await cluster.addMediaNode(`node-${index}`);
    const ids = Array.from({ length: shape.edges }, (_, index) => `edge-${index + 1}`);
    await Promise.all(ids.map(async (id) => cluster.addEdge(id, shape.edgeSettings)));
    cluster.edges.sort((left, right) => (left.id < right.id ? -1 : 1));
    await waitFor('every edge to hold a link to every media node', () =>
      cluster.mediaNodes.every((node) => node.linkCount === shape.edges),
    );
    return cluster;
  }

  private constructor(redis: Store, store: ClusterStore, namespace: Namespace) {
    this.redis = redis;
    this.namespace = namespace;
    this.store = store;
  }

  async addMediaNode(id: string, datacenter = 'gra'): Promise<ScriptedMediaNode> {
    const node = await ScriptedMediaNode.start({
      id,
      datacenter,
      clusterSecret: secretsIn(this.namespace, [TEST_CLUSTER_SECRET])[0],
      store: this.store,
      leaseMs: LEASE_MS,
    });
    this.mediaNodes.push(node);
    return node;
  }

  async addEdge(
    id: string,
    settings: Readonly<Record<string, string>> = {},
    host = '127.0.0.1',
  ): Promise<EdgeProcess> {
    const edge = await this.addUnreadyEdge(id, settings, host);
    await edge.ready();
    return edge;
  }

  /** Starts an edge that need not become ready. */
  async addUnreadyEdge(
    id: string,
    settings: Readonly<Record<string, string>> = {},
    host = '127.0.0.1',
  ): Promise<EdgeProcess> {
    const edge = await EdgeProcess.start({
      id,
      host,
      settings: {
        // The users that are shipped are those of the default namespace.
        ...(this.namespace === DEFAULT_NAMESPACE ? this.redis.as('edge') : this.redis).settings,
        PLENARY_NAMESPACE: this.namespace,
        PLENARY_RESUME_WITHIN_MS: String(RESUME_WITHIN_MS),
        PLENARY_LEASE_MS: String(LEASE_MS),
        ...settings,
      },
    });
    this.edges.push(edge);
    return edge;
  }

  /** Waits until each edge, and the test itself, notice by their own connections that the store is back. */
  async untilServed(): Promise<void> {
    await waitFor('the test to reach the store', () => this.store.isAvailable());
    await Promise.all(this.edges.map(async (edge) => edge.ready()));
  }

  /** How a room stands in the store; `undefined` while that is away. */
  async standing(room: string): Promise<RoomStatus | undefined> {
    return this.store.recovery.statusOf(testRoom(room)).catch(() => undefined);
  }

  /** Asks the store, again where it does not answer: the machine may stand still for a moment. */
  async ask<Answer>(question: (store: ClusterStore) => Promise<Answer>): Promise<Answer> {
    const { answer } = await waitFor('the store to answer the test', async () => ({
      answer: await question(this.store),
    }));
    return answer;
  }

  edge(index: number): EdgeProcess {
    const edge = this.edges[index];
    if (edge === undefined) throw new Error(`There is no edge ${index}.`);
    return edge;
  }

  mediaNode(index: number): ScriptedMediaNode {
    const node = this.mediaNodes[index];
    if (node === undefined) throw new Error(`There is no media node ${index}.`);
    return node;
  }

  async client(edgeIndex = 0, headers: Record<string, string> = {}): Promise<TestClient> {
    const client = await TestClient.connect(this.edge(edgeIndex).url, headers);
    this.#clients.push(client);
    return client;
  }

  /** Closes the clients of one test. @throws Error when a notice did not fit its schema */
  closeClients(): void {
    const malformed = this.#clients.flatMap((client) => client.malformed);
    for (const client of this.#clients.splice(0)) client.close();
    if (malformed.length > 0)
      throw new Error(`Notices that do not fit their schemas: ${malformed.join(', ')}`);
  }

  /** Ends everything. @throws Error when an edge did not end well */
  async stop(): Promise<void> {
    this.closeClients();
    try {
      for (const edge of this.edges) await edge.stop();
    } finally {
      for (const node of this.mediaNodes) await node.kill();
      await this.store.close();
      await this.redis.stop();
    }
  }
}
