import type { LocalCluster } from '@plenary/deploy/local-cluster';

const LINES = 15;

/** The last log lines of each process of a cluster, for the message of a failed test. */
export function lastLines(cluster: Pick<LocalCluster, 'edges' | 'mediaNodes'>): readonly string[] {
  return [...cluster.edges, ...cluster.mediaNodes].flatMap(({ id, logs }) => [
    `--- ${id}`,
    ...logs().slice(-LINES),
  ]);
}
