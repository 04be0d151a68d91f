/** The whole contract of the store over a distance, which takes longer than `npm test` has time for. */
import { startDistantRedis } from '../testing/distant-redis.ts';
import { describeStoreContracts } from '../testing/store-contracts.ts';

describeStoreContracts('Redis 30 ms away', startDistantRedis);
