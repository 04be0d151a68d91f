import { KEYS } from '@plenary/cluster/testing/store-keys';
import { Redis } from 'ioredis';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { readMetrics } from './metrics.ts';

/** Everything that a meeting creates and that its end must free. */
export interface LeftOver {
  /** The media nodes' gauges, summed over nodes, by metric name. */
  readonly media: Readonly<Record<string, number>>;
  /** Redis keys other than the registry's. */
  readonly keys: readonly string[];
  readonly sessions: number;
}

const MEDIA_GAUGES = [
  'plenary_media_routers',
  'plenary_media_transports',
  'plenary_media_producers',
  'plenary_media_consumers',
  'plenary_media_pipes',
  'plenary_media_peers',
];

/** @param redisUrl - the store's address; the cluster's own by default */
export async function leftOver(cluster: LocalCluster, redisUrl = cluster.redisUrl): Promise<LeftOver> {
  const media: Record<string, number> = Object.fromEntries(MEDIA_GAUGES.map((gauge) => [gauge, 0]));
  for (const node of cluster.mediaNodes) {
    const readings = await readMetrics(node.operatorUrl);
    for (const gauge of MEDIA_GAUGES) {
      const value = readings.get(gauge);
      if (value === undefined) throw new Error(`${node.id} has no metric ${gauge}`);
      media[gauge] = (media[gauge] ?? 0) + value;
    }
  }
  let sessions = 0;
  for (const edge of cluster.edges)
    sessions += (await readMetrics(edge.operatorUrl)).get('plenary_edge_sessions') ?? 0;
  return { media, keys: await keysBesideRegistry(redisUrl), sessions };
}

/** Whether nothing of any meeting remains. */
export function isNothing(left: LeftOver): boolean {
  return (
    left.keys.length === 0 && left.sessions === 0 && Object.values(left.media).every((count) => count === 0)
  );
}

/** How many pipe ends the media nodes have. */
export async function pipeCount(cluster: LocalCluster): Promise<number> {
  return (await leftOver(cluster)).media['plenary_media_pipes'] ?? 0;
}

/** The keys are sorted, because the order of `KEYS` changes as Redis' table grows. */
async function keysBesideRegistry(redisUrl: string): Promise<string[]> {
  const redis = new Redis(redisUrl);
  try {
    const ofRegistry = new Set([KEYS.mediaNodes, KEYS.edges, KEYS.portSlices]);
    return (await redis.keys('*')).filter((key) => !ofRegistry.has(key)).sort();
  } finally {
    redis.disconnect();
  }
}
