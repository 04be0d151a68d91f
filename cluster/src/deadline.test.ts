import { expect, test } from 'vitest';
import { ManualTimers } from '../testing/manual-timers.ts';
import { inTime } from './in-time.ts';

test('gives what is there in time, and nothing of what comes later', async () => {
  const timers = new ManualTimers();
  const [early, late] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const waiting = [inTime(timers, 100, early.promise), inTime(timers, 100, late.promise)];
  early.resolve('early');
  expect(await waiting[0]).toBe('early');
  timers.advance(100);
  late.reject(new Error('too late to be heard'));
  expect(await waiting[1]).toBeUndefined();
  expect(timers.pendingCount).toBe(0);
});

test('tells of what fails in time', async () => {
  const timers = new ManualTimers();
  await expect(inTime(timers, 100, Promise.reject(new Error('gone')))).rejects.toThrow('gone');
  expect(timers.pendingCount).toBe(0);
});
