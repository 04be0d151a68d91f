import { LocalDatacenters, startLocalCluster } from '@plenary/deploy/local-cluster';
import type {
  DatacenterSize,
  LocalCluster,
  ProcessOverrides,
  RunningMediaNode,
} from '@plenary/deploy/local-cluster';
import type { Bot, BotOptions } from '../bots/bot.ts';
import { Distance } from '../impairment/index.ts';
import type { Impairment } from '../impairment/index.ts';
import { SpanningCrowd, SPREAD } from './spanning-crowd.ts';

export interface SpanningOptions {
  readonly datacenters: readonly DatacenterSize[];
  /** The environment of every edge and media node. */
  readonly env?: Readonly<Record<string, string>>;
  /** Changes the datacenters before any process starts. */
  readonly prepare?: (datacenters: LocalDatacenters) => Promise<void>;
  /** A media node's options that add to its place or replace it. */
  readonly mediaNode?: (index: number, datacenters: LocalDatacenters) => ProcessOverrides;
  /** The impairment between datacenters; without it, packets arrive at once and without loss. */
  readonly distance?: { readonly impairment: Impairment; readonly seed: number };
}

/** A cluster whose media nodes are in datacenters of this machine, and the people who join it. */
export class SpanningCluster {
  readonly cluster: LocalCluster;
  readonly datacenters: LocalDatacenters;
  readonly #distance: Distance | undefined;
  readonly #crowd: SpanningCrowd;

  private constructor(cluster: LocalCluster, datacenters: LocalDatacenters, distance: Distance | undefined) {
    this.cluster = cluster;
    this.datacenters = datacenters;
    this.#distance = distance;
    this.#crowd = new SpanningCrowd(cluster, datacenters.hostAddress);
  }

  /** @throws LocalClusterError if this machine cannot create datacenters, or a process does not start */
  static async start(options: SpanningOptions): Promise<SpanningCluster> {
    const { datacenters: sizes, env = {}, distance } = options;
    const datacenters = await LocalDatacenters.create(sizes, { apart: distance !== undefined });
    let cluster: LocalCluster | undefined;
    try {
      await options.prepare?.(datacenters);
      cluster = await startLocalCluster({
        edges: 1,
        mediaNodes: datacenters.mediaNodeCount,
        workers: 1,
        sliceSize: SLICE_SIZE,
        web: false,
        redisHost: datacenters.hostAddress,
        mediaNode: (index) => ({
          ...datacenters.mediaNode(index),
          ...options.mediaNode?.(index, datacenters),
        }),
        edge: () => ({ env: SPREAD }),
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

  /** The distance between the datacenters. @throws Error if there is none */
  get distance(): Distance {
    if (this.#distance === undefined) throw new Error('These datacenters have no distance between them.');
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

  /** Has a person join from a datacenter and be placed there, who watches every track. */
  join(roomId: string, datacenter: string, options: Partial<BotOptions> = {}): Promise<Bot> {
    return this.#crowd.join(roomId, this.mediaNodesOf(datacenter), options);
  }

  /** Has this many people join from a datacenter on each of its media nodes. */
  fill(
    roomId: string,
    datacenter: string,
    peoplePerNode: number,
    options: Partial<BotOptions> = {},
  ): Promise<Bot[]> {
    return this.#crowd.fill(roomId, this.mediaNodesOf(datacenter), peoplePerNode, options);
  }

  everybodyLeaves(): Promise<void> {
    return this.#crowd.leave();
  }
}

/** How many RTP ports each media node has; the process between the datacenters listens on all of them. */
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
