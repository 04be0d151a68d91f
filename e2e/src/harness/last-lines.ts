import type { LocalCluster } from '@plenary/deploy/local-cluster';

const LINES = 15;

/** What each process of a cluster logged last, for a test that failed. */
export function lastLines(cluster: Pick<LocalCluster, 'edges' | 'mediaNodes'>): readonly string[] {
  return [...cluster.edges, ...cluster.mediaNodes].flatMap(({ id, logs }) => [
    `--- ${id}`,
    ...logs().slice(-LINES),
  ]);
}
