import { LocalDatacenters, startLocalCluster } from '@plenary/deploy/local-cluster';
import type { DatacenterSize, LocalCluster, RunningMediaNode } from '@plenary/deploy/local-cluster';
import { Bot, makeJoinToken } from '@plenary/loadtest/bots';
import type { BotOptions } from '@plenary/loadtest/bots';
import { Redis } from 'ioredis';

/** People that a test lets join a datacenter at most, to have some on each node. */
const MAX_PEOPLE = 30;

/** A cluster whose media nodes live in datacenters of this machine, and the people that a test lets join it. */
export class SpanningCluster {
  readonly cluster: LocalCluster;
  readonly datacenters: LocalDatacenters;
  #people: Bot[] = [];

  private constructor(cluster: LocalCluster, datacenters: LocalDatacenters) {
    this.cluster = cluster;
    this.datacenters = datacenters;
  }

  /** @param env - of every edge and media node */
  static async start(
    sizes: readonly DatacenterSize[],
    env: Readonly<Record<string, string>>,
  ): Promise<SpanningCluster> {
    const datacenters = await LocalDatacenters.create(sizes);
    try {
      const cluster = await startLocalCluster({
        edges: 1,
        mediaNodes: datacenters.mediaNodeCount,
        workers: 1,
        web: false,
        redisHost: datacenters.hostAddress,
        mediaNode: datacenters.mediaNode,
        // Even two people of a room are not kept together.
        edge: () => ({ env: { PLENARY_PACKING_LIMIT: '1' } }),
        env,
      });
      return new SpanningCluster(cluster, datacenters);
    } catch (error) {
      await datacenters.remove();
      throw error;
    }
  }

  async stop(): Promise<void> {
    try {
      await this.cluster.stop();
    } finally {
      await this.datacenters.remove();
    }
  }

  mediaNodesOf(datacenter: string): readonly RunningMediaNode[] {
    return this.cluster.mediaNodes.filter((node) => node.datacenter === datacenter);
  }

  /** Lets somebody join from a datacenter, who watches all that there is. */
  async join(roomId: string, datacenter: string, options: Partial<BotOptions> = {}): Promise<Bot> {
    const [edge] = this.cluster.edges;
    if (edge === undefined) throw new Error('the cluster has an edge');
    const name = `${datacenter}-${this.#people.length + 1}`;
    const token = makeJoinToken(this.cluster, { subject: name, roomId, datacenter });
    const bot = await Bot.join({
      edgeUrl: edge.url,
      roomId,
      token,
      name,
      canPublish: false,
      bindAddress: this.datacenters.hostAddress,
      ...options,
    });
    this.#people.push(bot);
    return bot;
  }

  /** Lets people join from a datacenter until each of its media nodes has some of them, whatever the placement prefers. */
  async fill(
    roomId: string,
    datacenter: string,
    peoplePerNode: number,
    options: Partial<BotOptions> = {},
  ): Promise<Bot[]> {
    const people: Bot[] = [];
    const nodes = this.mediaNodesOf(datacenter);
    const isFull = ({ id }: RunningMediaNode): boolean =>
      people.filter(({ mediaNodeId }) => mediaNodeId === id).length >= peoplePerNode;
    while (!nodes.every(isFull)) {
      if (people.length === MAX_PEOPLE)
        throw new Error(`${MAX_PEOPLE} people did not spread over the nodes of ${datacenter}`);
      people.push(await this.join(roomId, datacenter, options));
    }
    return people;
  }

  async everybodyLeaves(): Promise<void> {
    await Promise.all(this.#people.splice(0).map((bot) => bot.leave()));
  }

  /** The media node by which tracks of a home elsewhere come into a datacenter. */
  async gatewayOf(roomId: string, datacenter: string, homeNodeId: string): Promise<RunningMediaNode> {
    const redis = new Redis(this.cluster.redisUrl);
    try {
      const claim = await redis.hget(`plenary:{room:${roomId}}:meta`, `gateway|${datacenter}|${homeNodeId}`);
      const gateway = this.cluster.mediaNodes.find(({ id }) => id === claim?.split('|')[1]);
      if (gateway === undefined) throw new Error(`${datacenter} has no gateway to ${homeNodeId}`);
      return gateway;
    } finally {
      redis.disconnect();
    }
  }
}
