import { setTimeout as delay } from 'node:timers/promises';
import type { LocalCluster, RunningMediaNode } from '@plenary/deploy/local-cluster';
import type { Bot, BotOptions } from '../bots/bot.ts';
import { joinCluster } from '../bots/join-cluster.ts';

/** The edges' environment: packing is off, so even two people of a room are not kept together. */
export const SPREAD = { PLENARY_PACKING_LIMIT: '1' };

/** How long to wait before a busy node is asked again, in milliseconds; nodes are busy just after their start. */
const ASK_AGAIN_MS = 200;
/** For one person, in milliseconds. */
const PLACING_TIMEOUT_MS = 90_000;

/** One person's options; the crowd determines where they join, and under which name. */
type CrowdOptions = Partial<Omit<BotOptions, 'edgeUrl' | 'token' | 'name' | 'roomId'>>;

/** People who join a cluster on chosen media nodes. Its edges need {@link SPREAD}. */
export class SpanningCrowd {
  readonly #cluster: LocalCluster;
  readonly #bindAddress: string | undefined;
  #people: Bot[] = [];
  #joined = 0;

  /** @param bindAddress - the address of this machine that their transports use */
  constructor(cluster: LocalCluster, bindAddress?: string) {
    this.#cluster = cluster;
    this.#bindAddress = bindAddress;
  }

  /**
   * Lets somebody join on one of these nodes, all of one datacenter. A placement takes the less loaded node, and one
   * elsewhere while those of the datacenter are busy. Who was put on another node than wanted stays there, which makes the
   * wanted one the less loaded, until somebody is on that.
   * @throws Error when nobody was within 30 s
   */
  async join(roomId: string, nodes: readonly RunningMediaNode[], options: CrowdOptions = {}): Promise<Bot> {
    const datacenter = nodes[0]?.datacenter ?? '';
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
        const placed = this.#cluster.mediaNodes.find(({ id }) => id === bot.mediaNodeId);
        if (placed?.datacenter !== datacenter) await delay(ASK_AGAIN_MS);
      }
    } finally {
      await Promise.all(elsewhere.map((bot) => bot.leave()));
    }
    const wanted = nodes.map(({ id }) => id).join(', ');
    throw new Error(`nobody was placed on ${wanted} within ${PLACING_TIMEOUT_MS} ms`);
  }

  /** Has this many people join on each of these nodes, all of one datacenter. */
  async fill(
    roomId: string,
    nodes: readonly RunningMediaNode[],
    peoplePerNode: number,
    options: CrowdOptions = {},
  ): Promise<Bot[]> {
    const people: Bot[] = [];
    const hasRoom = ({ id }: RunningMediaNode): boolean =>
      people.filter(({ mediaNodeId }) => mediaNodeId === id).length < peoplePerNode;
    for (;;) {
      const open = nodes.filter(hasRoom);
      if (open.length === 0) return people;
      people.push(await this.join(roomId, open, options));
    }
  }

  /** Everybody leaves. */
  async leave(): Promise<void> {
    await Promise.all(this.#people.splice(0).map((bot) => bot.leave()));
  }

  #joinAnywhere(roomId: string, datacenter: string, options: CrowdOptions): Promise<Bot> {
    this.#joined += 1;
    const name = `${datacenter}-${this.#joined}`;
    return joinCluster(this.#cluster, {
      roomId,
      name,
      datacenter,
      canPublish: false,
      ...(this.#bindAddress === undefined ? {} : { bindAddress: this.#bindAddress }),
      ...options,
    });
  }
}
