import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningMediaNode } from '@plenary/deploy/local-cluster';
import { launchChromium } from '@plenary/loadtest/browser';
import type { Browser } from 'playwright-core';
import { z } from 'zod';
import { readMetrics } from './metrics.ts';
import { Participant } from './participant.ts';

/** An address of this machine on which nothing listens. */
const UNREACHED = '127.0.0.99';

const READINESS = z.object({ reasons: z.array(z.string()) });

/**
 * A cluster of two media nodes, one of which announces an unreachable address, as after a typing error or behind a firewall; and
 * people in real browsers. {@link openPath} stands for opening the firewall.
 */
export class UnreachedNode {
  readonly #cluster: LocalCluster;
  readonly #browser: Browser;
  readonly #people: Participant[] = [];
  #path: { close: () => void } | undefined;

  private constructor(cluster: LocalCluster, browser: Browser) {
    this.#cluster = cluster;
    this.#browser = browser;
  }

  static async start(): Promise<UnreachedNode> {
    // The first people of the edge's datacenter are placed on the unreachable node.
    const cluster = await startLocalCluster({
      edges: 1,
      mediaNodes: 2,
      workers: 1,
      mediaNode: (index) => (index === 0 ? { announcedAddress: UNREACHED, listenIp: '127.0.0.1' } : {}),
      env: { PLENARY_LOG_LEVEL: 'warn' },
    });
    return new UnreachedNode(cluster, await launchChromium());
  }

  async stop(): Promise<void> {
    this.#path?.close();
    for (const person of this.#people) await person.close();
    await this.#browser.close();
    await this.#cluster.stop();
  }

  get unreached(): RunningMediaNode {
    return this.#node(0);
  }

  get other(): RunningMediaNode {
    return this.#node(1);
  }

  async join(roomId: string, name: string): Promise<Participant> {
    const [edge] = this.#cluster.edges;
    if (edge === undefined) throw new Error('the cluster has an edge');
    const person = await Participant.open(this.#browser, edge.publicUrl, roomId, name);
    this.#people.push(person);
    await person.join();
    return person;
  }

  /** The reasons why the node is not ready. */
  async reasons(): Promise<readonly string[]> {
    const answer = await fetch(`${this.unreached.operatorUrl}/ready`);
    return READINESS.parse(await answer.json()).reasons;
  }

  /** How many people were placed on the node and found no path to it. */
  async missed(): Promise<number | undefined> {
    return (await readMetrics(this.unreached.operatorUrl)).get('plenary_media_unreached_peers_total');
  }

  /** Forwards UDP from the node's first port at {@link UNREACHED} to where it listens, and back. */
  async openPath(): Promise<void> {
    const port = this.unreached.portSlice.first;
    const outside = createSocket('udp4');
    const inside = new Map<string, Socket>();
    outside.on('message', (packet, from) => {
      const key = `${from.address} ${from.port}`;
      let socket = inside.get(key);
      if (socket === undefined) {
        socket = createSocket('udp4');
        socket.on('message', (answer) => {
          outside.send(answer, from.port, from.address);
        });
        inside.set(key, socket);
      }
      socket.send(packet, port, '127.0.0.1');
    });
    await new Promise<void>((resolve, reject) => {
      outside.once('error', reject);
      outside.bind(port, UNREACHED, resolve);
    });
    this.#path = {
      close: () => {
        outside.close();
        for (const socket of inside.values()) socket.close();
      },
    };
  }

  #node(index: number): RunningMediaNode {
    const node = this.#cluster.mediaNodes[index];
    if (node === undefined) throw new Error('the cluster has two media nodes');
    return node;
  }
}
