import { room } from '@plenary/cluster/testing/samples';
import { KEYS } from '@plenary/cluster/testing/store-keys';
import type { LocalCluster, RunningMediaNode } from '@plenary/deploy/local-cluster';
import { Redis } from 'ioredis';

/** The media node through which a remote home's tracks enter a datacenter. @throws Error if there is none */
export async function gatewayOf(
  cluster: LocalCluster,
  roomId: string,
  datacenter: string,
  homeNodeId: string,
  redisUrl = cluster.redisUrl,
): Promise<RunningMediaNode> {
  const redis = new Redis(redisUrl);
  try {
    const { meta } = KEYS.room(room(roomId, cluster.apiKey));
    const claim = await redis.hget(meta, `gateway|${datacenter}|${homeNodeId}`);
    const gateway = cluster.mediaNodes.find(({ id }) => id === claim?.split('|')[1]);
    if (gateway === undefined) throw new Error(`${datacenter} has no gateway to ${homeNodeId}`);
    return gateway;
  } finally {
    redis.disconnect();
  }
}
