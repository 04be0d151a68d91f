import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningMediaNode } from '@plenary/deploy/local-cluster';
import { SpanningCrowd, SPREAD } from '../spanning/spanning-crowd.ts';

/** 1.8 Mbit/s in packets as large as a camera's. */
export const CAMERA = { intervalMs: 5, payloadBytes: 1_100 };

/** Two media nodes on loopback with different addresses, so that the pipe between them is encrypted, as between two machines. */
export interface TwoNodes {
  readonly cluster: LocalCluster;
  readonly home: RunningMediaNode;
  readonly other: RunningMediaNode;
  readonly crowd: SpanningCrowd;
  stop(): Promise<void>;
}

export async function startTwoNodes(): Promise<TwoNodes> {
  const cluster = await startLocalCluster({
    edges: 1,
    mediaNodes: 2,
    datacenters: ['gra'],
    workers: 1,
    web: false,
    logLevel: 'warn',
    edge: () => ({ env: SPREAD }),
    mediaNode: (index) => {
      const address = `127.0.0.${index + 1}`;
      return { announcedAddress: address, listenIp: address };
    },
  });
  const [home, other] = cluster.mediaNodes;
  if (home === undefined || other === undefined)
    throw new Error('The cluster has fewer than two media nodes.');
  const crowd = new SpanningCrowd(cluster);
  return {
    cluster,
    home,
    other,
    crowd,
    stop: async () => {
      await crowd.leave();
      await cluster.stop();
    },
  };
}
