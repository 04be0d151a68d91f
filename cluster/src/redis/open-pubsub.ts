import { guardCallback } from '../process/guarded-callbacks.ts';
import { openCluster, openServer } from './client.ts';
import { ClusterPubSub } from './cluster-pubsub.ts';
import type { ServerIdentity } from './server-identity.ts';
import type { PubSubConnection, ReportStoreFault } from './pubsub-connection.ts';
import { ServerPubSub } from './server-pubsub.ts';
import type { StoreAddress } from './store-address.ts';

/**
 * Opens a connection for sharded pub/sub to one server, or to a Redis Cluster.
 * @param commands - the server that commands go to, which a connection to one server follows
 */
export function openPubSub(
  address: StoreAddress,
  connectionName: string,
  onFault: ReportStoreFault,
  onConnectionError: (error: Error) => void,
  commands?: ServerIdentity,
): PubSubConnection {
  if (address.kind === 'cluster') {
    const cluster = openCluster(address, connectionName, { shardedSubscribers: true });
    cluster.on('error', guardCallback('store', onConnectionError));
    cluster.on('node error', guardCallback('store', onConnectionError));
    return new ClusterPubSub(cluster, onFault);
  }
  // A repeated subscription that Redis refuses rejects inside ioredis where nothing catches it, which would end the
  // process.
  const redis = openServer(address, connectionName, { maxRetriesPerRequest: null, autoResubscribe: false });
  redis.on('error', guardCallback('store', onConnectionError));
  return new ServerPubSub(redis, onFault, commands);
}
