import { startRedisCluster } from '../testing/redis-cluster.ts';
import { describeStoreContracts } from '../testing/store-contracts.ts';

describeStoreContracts('Redis Cluster', startRedisCluster);
