import { ManualClock } from '../clock.ts';
import { MemoryTenantStore } from './memory-tenant-store.ts';
import { describeTenantStore } from './tenant-store.contract.ts';

describeTenantStore('memory', () => {
  const clock = new ManualClock();
  const tenants = new MemoryTenantStore(clock);
  return Promise.resolve({
    tenants,
    nowSeconds: () => Math.floor(clock.wallMs() / 1_000),
    passTime: (byMs) => {
      clock.advance(byMs);
      return Promise.resolve();
    },
    remainingCount: () => Promise.resolve(tenants.claimCount),
    close: () => Promise.resolve(),
  });
});
