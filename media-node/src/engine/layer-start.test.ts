import { PlenaryError } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LayerStart, CHOOSE_AGAIN_MS, MIN_INTERVAL_MS } from './layer-start.ts';

const ALL_LOOKS_MS = Math.max(...CHOOSE_AGAIN_MS) + MIN_INTERVAL_MS;

function starting(count = 1) {
  const consumers = Array.from({ length: count }, () => ({
    isStarved: true,
    chooseAgain: vi.fn(() => Promise.resolve()),
  }));
  const onFault = vi.fn();
  const start = new LayerStart(() => consumers, onFault);
  const calls = (): number[] => consumers.map(({ chooseAgain }) => chooseAgain.mock.calls.length);
  return { consumers, start, onFault, calls };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('[DM5] the consumers of a transport that begin', () => {
  test('have their layers chosen again at each interval, by one call for all of them', () => {
    const { start, calls } = starting(2);
    start.begin();
    vi.advanceTimersByTime((CHOOSE_AGAIN_MS[0] ?? 0) - 1);
    expect(calls()).toEqual([0, 0]);
    vi.advanceTimersByTime(ALL_LOOKS_MS);
    expect(calls()).toEqual([CHOOSE_AGAIN_MS.length, 0]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('cost no call once every frame is sent, and a consumer that lacks some is found among them', () => {
    const { consumers, start, calls } = starting(2);
    for (const consumer of consumers) consumer.isStarved = false;
    start.begin();
    vi.advanceTimersByTime(ALL_LOOKS_MS);
    expect(calls()).toEqual([0, 0]);
    Object.assign(consumers[1] ?? {}, { isStarved: true });
    start.begin();
    vi.advanceTimersByTime(ALL_LOOKS_MS);
    expect(calls()).toEqual([0, CHOOSE_AGAIN_MS.length]);
  });

  test('share their timers when they begin at the same time, and leave none running', () => {
    const { start, calls } = starting();
    start.begin();
    start.begin();
    expect(vi.getTimerCount()).toBe(CHOOSE_AGAIN_MS.length);
    start.stop();
    vi.advanceTimersByTime(ALL_LOOKS_MS);
    expect(calls()).toEqual([0]);
  });

  test('report a call that failed', async () => {
    const { consumers, start, onFault } = starting();
    consumers[0]?.chooseAgain.mockRejectedValueOnce(new PlenaryError('media_lost'));
    start.begin();
    await vi.advanceTimersByTimeAsync(ALL_LOOKS_MS);
    expect(onFault).toHaveBeenCalledOnce();
  });
});
