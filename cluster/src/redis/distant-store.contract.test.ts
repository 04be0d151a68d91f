/** A sample of the contract over a distance; `npm run test:distant` runs all of it. */
import { startDistantRedis } from '../testing/distant-redis.ts';
import { describeStoreContracts } from '../testing/store-contracts.ts';

describeStoreContracts('Redis 30 ms away', startDistantRedis, ['recovery']);
