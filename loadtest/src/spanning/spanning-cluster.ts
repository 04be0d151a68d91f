import { setTimeout as delay } from 'node:timers/promises';
import { LocalDatacenters, startLocalCluster } from '@plenary/deploy/local-cluster';
import type { DatacenterSize, LocalCluster, RunningMediaNode } from '@plenary/deploy/local-cluster';
import { Bot } from '../bots/bot.ts';
import type { BotOptions } from '../bots/bot.ts';
import { Distance } from '../impairment/index.ts';
import type { Impairment } from '../impairment/index.ts';
import { makeJoinToken } from '../join-token.ts';

/** Nodes that are busy, as with themselves just after the start, are asked again after so long. */
const ASK_AGAIN_MS = 200;
/** For one person. */
const PLACING_TIMEOUT_MS = 30_000;

export interface SpanningOptions {
  readonly datacenters: readonly DatacenterSize[];
  /** Of every edge and media node. */
  readonly env?: Readonly<Record<string, string>>;
  /** How media nodes of different datacenters reach each other; at once and without a loss where absent. */
  readonly distance?: { readonly impairment: Impairment; readonly seed: number };
}

/** A cluster whose media nodes live in datacenters of this machine, and the people that one lets join it. */
export class SpanningCluster {
  readonly cluster: LocalCluster;
  readonly datacenters: LocalDatacenters;
  readonly #distance: Distance | undefined;
  #people: Bot[] = [];
  #joined = 0;

  private constructor(cluster: LocalCluster, datacenters: LocalDatacenters, distance: Distance | undefined) {
    this.cluster = cluster;
    this.datacenters = datacenters;
    this.#distance = distance;
  }

  /** @throws LocalClusterError when this machine cannot make datacenters, or a process does not start */
  static async start({ datacenters: sizes, env = {}, distance }: SpanningOptions): Promise<SpanningCluster> {
    const datacenters = await LocalDatacenters.create(sizes, { apart: distance !== undefined });
    let cluster: LocalCluster | undefined;
    try {
      cluster = await startLocalCluster({
        edges: 1,
        mediaNodes: datacenters.mediaNodeCount,
        workers: 1,
        sliceSize: SLICE_SIZE,
        web: false,
        redisHost: datacenters.hostAddress,
        mediaNode: datacenters.mediaNode,
        // Even two people of a room are not kept together.
        edge: () => ({ env: { PLENARY_PACKING_LIMIT: '1' } }),
        env,
      });
      const { between } = datacenters;
      const way =
        distance === undefined || between === undefined
          ? undefined
          : await Distance.start({ namespace: between, ...endpointsOf(cluster), ...distance });
      return new SpanningCluster(cluster, datacenters, way);
    } catch (error) {
      await cluster?.stop();
      await datacenters.remove();
      throw error;
    }
  }

  /** What lies between the datacenters. @throws Error where nothing does */
  get distance(): Distance {
    if (this.#distance === undefined) throw new Error('the datacenters are not apart');
    return this.#distance;
  }

  async stop(): Promise<void> {
    try {
      await this.cluster.stop();
      await this.#distance?.close();
    } finally {
      await this.datacenters.remove();
    }
  }

  mediaNodesOf(datacenter: string): readonly RunningMediaNode[] {
    return this.cluster.mediaNodes.filter((node) => node.datacenter === datacenter);
  }

  /** Lets somebody join from a datacenter and be placed there, who watches all that there is. */
  async join(roomId: string, datacenter: string, options: Partial<BotOptions> = {}): Promise<Bot> {
    return this.#joinAt(roomId, datacenter, this.mediaNodesOf(datacenter), options);
  }

  /** Lets so many people join from a datacenter on each of its media nodes. */
  async fill(
    roomId: string,
    datacenter: string,
    peoplePerNode: number,
    options: Partial<BotOptions> = {},
  ): Promise<Bot[]> {
    const people: Bot[] = [];
    const hasRoom = ({ id }: RunningMediaNode): boolean =>
      people.filter(({ mediaNodeId }) => mediaNodeId === id).length < peoplePerNode;
    for (;;) {
      const nodes = this.mediaNodesOf(datacenter).filter(hasRoom);
      if (nodes.length === 0) return people;
      people.push(await this.#joinAt(roomId, datacenter, nodes, options));
    }
  }

  async everybodyLeaves(): Promise<void> {
    await Promise.all(this.#people.splice(0).map((bot) => bot.leave()));
  }

  /**
   * A placement takes the less loaded node, and one elsewhere while those of the datacenter are busy. Who was put on
   * another node than wanted stays there, which makes the wanted one the less loaded, until somebody is on that.
   */
  async #joinAt(
    roomId: string,
    datacenter: string,
    nodes: readonly RunningMediaNode[],
    options: Partial<BotOptions>,
  ): Promise<Bot> {
    const deadlineMs = performance.now() + PLACING_TIMEOUT_MS;
    const elsewhere: Bot[] = [];
    try {
      while (performance.now() < deadlineMs) {
        const bot = await this.#joinAnywhere(roomId, datacenter, options);
        if (nodes.some(({ id }) => id === bot.mediaNodeId)) {
          this.#people.push(bot);
          return bot;
        }
        elsewhere.push(bot);
        if (this.mediaNodesOf(datacenter).every(({ id }) => id !== bot.mediaNodeId))
          await delay(ASK_AGAIN_MS);
      }
    } finally {
      await Promise.all(elsewhere.map((bot) => bot.leave()));
    }
    const wanted = nodes.map(({ id }) => id).join(', ');
    throw new Error(`nobody was placed on ${wanted} within ${PLACING_TIMEOUT_MS} ms`);
  }

  #joinAnywhere(roomId: string, datacenter: string, options: Partial<BotOptions>): Promise<Bot> {
    const [edge] = this.cluster.edges;
    if (edge === undefined) throw new Error('the cluster has an edge');
    this.#joined += 1;
    const name = `${datacenter}-${this.#joined}`;
    return Bot.join({
      edgeUrl: edge.url,
      roomId,
      token: makeJoinToken(this.cluster, { subject: name, roomId, datacenter }),
      name,
      canPublish: false,
      bindAddress: this.datacenters.hostAddress,
      ...options,
    });
  }
}

/** RTP ports of each media node; all of them are listened at between datacenters that are apart. */
const SLICE_SIZE = 20;

function endpointsOf({ mediaNodes }: LocalCluster) {
  const port = (url: URL) => ({ host: url.hostname, port: Number(url.port) });
  return {
    udp: mediaNodes.flatMap(({ announcedAddress: host, portSlice: { first, last } }) =>
      Array.from({ length: last - first + 1 }, (_, index) => ({ host, port: first + index })),
    ),
    tcp: mediaNodes.map(({ url }) => port(new URL(url))),
  };
}
