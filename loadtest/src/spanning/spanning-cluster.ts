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
  /** Of every edge and media node. */
  readonly env?: Readonly<Record<string, string>>;
  /** Changes the datacenters before anything is started in them. */
  readonly prepare?: (datacenters: LocalDatacenters) => Promise<void>;
  /** What a media node has beside its place, or instead of it. */
  readonly mediaNode?: (index: number, datacenters: LocalDatacenters) => ProcessOverrides;
  /** How media nodes of different datacenters reach each other; at once and without a loss where absent. */
  readonly distance?: { readonly impairment: Impairment; readonly seed: number };
}

/** A cluster whose media nodes live in datacenters of this machine, and the people that one lets join it. */
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

  /** @throws LocalClusterError when this machine cannot make datacenters, or a process does not start */
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
  join(roomId: string, datacenter: string, options: Partial<BotOptions> = {}): Promise<Bot> {
    return this.#crowd.join(roomId, this.mediaNodesOf(datacenter), options);
  }

  /** Lets so many people join from a datacenter on each of its media nodes. */
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
