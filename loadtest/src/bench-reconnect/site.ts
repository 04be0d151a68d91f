import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';

/** Files that a process needs beside its sockets. */
const OTHER_FILES = 300;

/**
 * A cluster for a storm: real edges, a real Redis, one real media node. Nobody sends media, but everybody has transports
 * there, so that a resume asks the node what it asks in earnest.
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

/** Files that one process may have to hold open. */
export function filesNeeded(clients: number): number {
  return clients + OTHER_FILES;
}
