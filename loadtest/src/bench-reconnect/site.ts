import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';

/** How many files a process needs besides its sockets. */
const OTHER_FILES = 300;

/**
 * A cluster for a storm: real edges, a real Redis and one real media node. Nobody sends media, but everybody has transports
 * there, so that a resume sends the node the same requests as in production.
 */
export async function startStormSite(shape: {
  readonly clients: number;
  readonly edges: number;
}): Promise<LocalCluster> {
  return startLocalCluster({
    edges: shape.edges,
    mediaNodes: 1,
    workers: 1,
    datacenters: ['gra'],
    web: false,
    logLevel: 'warn',
    mediaNode: () => ({ env: { PLENARY_MAX_PEERS: String(shape.clients + 1_000) } }),
  });
}

/** How many files one process may have to hold open. */
export function filesNeeded(clients: number): number {
  return clients + OTHER_FILES;
}
