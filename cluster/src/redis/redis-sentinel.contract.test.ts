import { startRedisSentinel } from '../testing/redis-sentinel.ts';
import { describeStoreContracts } from '../testing/store-contracts.ts';

describeStoreContracts('Redis through Sentinels', startRedisSentinel);
