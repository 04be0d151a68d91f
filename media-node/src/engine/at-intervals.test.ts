import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AtIntervals } from './at-intervals.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('[WK13] the first request runs at once, and any number of further ones once per interval', () => {
  const work = vi.fn();
  const pictures = new AtIntervals(500, work);
  pictures.request();
  expect(work).toHaveBeenCalledTimes(1);
  for (let packet = 0; packet < 1_000; packet += 1) {
    pictures.request();
    vi.advanceTimersByTime(1);
  }
  expect(work).toHaveBeenCalledTimes(3);
  vi.advanceTimersByTime(10_000);
  expect(work).toHaveBeenCalledTimes(3);
  pictures.request();
  expect(work).toHaveBeenCalledTimes(4);
});

test('[WK13] a stop cancels a waiting request', () => {
  const work = vi.fn();
  const pictures = new AtIntervals(500, work);
  pictures.request();
  pictures.request();
  pictures.stop();
  vi.advanceTimersByTime(1_000);
  expect(work).toHaveBeenCalledTimes(1);
});
