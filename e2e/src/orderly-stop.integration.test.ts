/** Processes that are stopped orderly during a meeting may log no warning. */
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { ClusterEvent, LocalCluster, RunningNode } from '@plenary/deploy/local-cluster';
import { Bot, endMediaLinks, makeJoinToken } from '@plenary/loadtest/bots';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readMetric } from './harness/metrics.ts';
import { until } from './harness/until.ts';

const LINE = z.object({ level: z.string(), msg: z.string() });
const LOUD = new Set(['warn', 'error', 'fatal']);

/** Collects the lines of stopping processes from their signal on. */
class StopLog {
  readonly #lines = new Map<string, string[]>();
  #stopping: (id: string) => boolean = () => false;

  readonly onEvent = (event: ClusterEvent): void => {
    if (event.type !== 'log' || !this.#stopping(event.id)) return;
    this.#lines.set(event.id, [...(this.#lines.get(event.id) ?? []), event.line]);
  };

  expectStop(isStopping: (id: string) => boolean): void {
    this.#stopping = isStopping;
  }

  /** Lines at `warn` or above, and lines that are not log lines. */
  loud(): string[] {
    return [...this.#lines].flatMap(([id, lines]) =>
      lines
        .filter((line) => !line.startsWith('{') || LOUD.has(LINE.parse(JSON.parse(line)).level))
        .map((line) => `${id} ${line}`),
    );
  }

  messages(id: string): string[] {
    return (this.#lines.get(id) ?? []).map((line) => LINE.parse(JSON.parse(line)).msg);
  }
}

const clusters: LocalCluster[] = [];
const bots: Bot[] = [];
afterEach(async () => {
  // If an edge has stopped already, it refuses the leave request, and the bot closes everything all the same.
  await Promise.allSettled(bots.splice(0).map((bot) => bot.leave()));
  for (const cluster of clusters.splice(0)) await cluster.stop();
});
afterAll(endMediaLinks);

/** Two edges and two media nodes in two datacenters. */
async function start(): Promise<{ cluster: LocalCluster; log: StopLog }> {
  const log = new StopLog();
  const cluster = await startLocalCluster({ workers: 1, web: false, onEvent: log.onEvent });
  clusters.push(cluster);
  return { cluster, log };
}

async function untilLinked(operatorUrl: string, mediaNodes: number): Promise<void> {
  await until(
    'the edge to have a link to each media node',
    () => readMetric(operatorUrl, 'plenary_edge_control_links', { state: 'up' }),
    (up) => up === mediaNodes,
  );
}

/** Has one person in each datacenter join; they see each other through a pipe between the two media nodes. */
async function meet(cluster: LocalCluster): Promise<void> {
  for (const { operatorUrl } of cluster.edges) await untilLinked(operatorUrl, cluster.mediaNodes.length);
  for (const { url, datacenter } of cluster.edges) {
    const token = makeJoinToken(cluster, { subject: datacenter, roomId: 'meeting', datacenter });
    const bot = await Bot.join({
      edgeUrl: url,
      roomId: 'meeting',
      token,
      name: datacenter,
      canPublish: true,
    });
    await bot.publish('video');
    bots.push(bot);
  }
  expect(new Set(bots.map(({ mediaNodeId }) => mediaNodeId)).size).toBe(2);
  await until(
    'everybody to receive the other',
    () => bots.map(({ received }) => received.map(({ packets }) => packets)),
    (counts) => counts.every((packets) => packets.some((count) => count > 5)),
  );
}

async function stopOne(node: RunningNode, log: StopLog): Promise<void> {
  log.expectStop((id) => id === node.id);
  await node.kill('SIGTERM');
  expect(log.messages(node.id)).toContain('stopped');
}

describe('an orderly stop', () => {
  it('[LC11] of a cluster in which nobody meets logs no warning', async () => {
    const { cluster, log } = await start();
    log.expectStop((id) => id !== 'redis');
    await cluster.stop();
    for (const { id } of [...cluster.edges, ...cluster.mediaNodes])
      expect(log.messages(id)).toContain('stopped');
    expect(log.loud()).toEqual([]);
  });

  it('[LC11] of a cluster with a meeting over two media nodes logs no warning', async () => {
    const { cluster, log } = await start();
    await meet(cluster);
    log.expectStop((id) => id !== 'redis');
    await cluster.stop();
    for (const { id } of [...cluster.edges, ...cluster.mediaNodes])
      expect(log.messages(id)).toContain('stopped');
    expect(log.loud()).toEqual([]);
  });

  it('[LC11] of one edge, and of one media node, in the middle of a meeting logs no warning there', async () => {
    const { cluster, log } = await start();
    await meet(cluster);
    const [edge] = cluster.edges;
    const [node] = cluster.mediaNodes;
    if (edge === undefined || node === undefined) throw new Error('the cluster has edges and media nodes');
    await stopOne(edge, log);
    await stopOne(node, log);
    expect(log.loud()).toEqual([]);
  });

  it('[LC22] of a media node logs no warning at the edges that stay', async () => {
    const { cluster, log } = await start();
    const [node] = cluster.mediaNodes;
    if (node === undefined) throw new Error('the cluster has media nodes');
    for (const { operatorUrl } of cluster.edges) await untilLinked(operatorUrl, cluster.mediaNodes.length);

    log.expectStop((id) => id.startsWith('edge'));
    await node.kill('SIGTERM');

    for (const { id } of cluster.edges) {
      await until(
        'the edge to log that the media node stopped',
        () => log.messages(id),
        (messages) => messages.includes('media node stopped; its control link is closed'),
      );
    }
    expect(log.loud()).toEqual([]);
  });
});
