import { ManualClock } from '../clock.ts';
import { MemoryRegistry } from './memory-registry.ts';
import { describeRegistry } from './registry.contract.ts';

describeRegistry('memory', () => {
  const clock = new ManualClock();
  return Promise.resolve({
    registry: new MemoryRegistry(clock),
    passTime: (byMs) => {
      clock.advance(byMs);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  });
});
