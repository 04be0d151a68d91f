import { expect, it } from 'vitest';
import { ManualClock } from './clock.ts';
import { TokenBucket } from './token-bucket.ts';

it('a bucket says after how long it will contain the missing tokens', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket({ capacity: 2, refillPerSecond: 4 }, clock);
  expect([bucket.takeOrWaitMs(), bucket.takeOrWaitMs()]).toEqual([0, 0]);
  expect(bucket.takeOrWaitMs()).toBe(250);
  clock.advance(100);
  expect(bucket.takeOrWaitMs()).toBe(150);
  clock.advance(150);
  expect(bucket.takeOrWaitMs()).toBe(0);
  clock.advance(8_000);
  expect([bucket.takeOrWaitMs(), bucket.takeOrWaitMs(), bucket.takeOrWaitMs()]).toEqual([0, 0, 250]);
  clock.advance(250);
  expect(bucket.takeOrWaitMs(2)).toBe(250);
});
