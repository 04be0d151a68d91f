import { watchEntries } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RetryQueue } from './retry-queue.ts';

describe('RetryQueue', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function queueOf(maxWaiting: number) {
    const tried: { readonly item: string; readonly atMs: number }[] = [];
    const discarded: string[] = [];
    let succeeds = false;
    let underWay = 0;
    let most = 0;
    const startMs = Date.now();
    const queue = new RetryQueue<string>({
      maxWaiting,
      retry: async (item) => {
        underWay += 1;
        most = Math.max(most, underWay);
        tried.push({ item, atMs: Date.now() - startMs });
        await Promise.resolve();
        underWay -= 1;
        return succeeds;
      },
      onDiscarded: (item) => discarded.push(item),
    });
    return { queue, tried, discarded, mostAtOnce: () => most, letRetriesSucceed: () => (succeeds = true) };
  }

  it('[SE32] retries with growing pauses while an item fails, and not any more once it succeeded', async () => {
    const { queue, tried, letRetriesSucceed } = queueOf(10);
    queue.add('ann', 'ann');

    await vi.advanceTimersByTimeAsync(200_000);
    expect(tried.map(({ atMs }) => atMs / 1_000)).toEqual([2, 6, 14, 30, 62, 122, 182]);
    letRetriesSucceed();
    await vi.advanceTimersByTimeAsync(200_000);

    expect(tried).toHaveLength(8);
    expect(queue.size).toBe(0);
  });

  it('[SE32] tries the other items, and later the same one again, when an item throws', async () => {
    const faults: unknown[] = [];
    const endWatching = watchEntries((_kind, fault) => faults.push(fault));
    const tried: string[] = [];
    const queue = new RetryQueue<string>({
      maxWaiting: 10,
      retry: (item) => {
        tried.push(item);
        return item === 'bad' ? Promise.reject(new Error('bad')) : Promise.resolve(true);
      },
      onDiscarded: () => undefined,
    });
    queue.add('bad', 'bad');
    queue.add('good', 'good');

    await vi.advanceTimersByTimeAsync(7_000);

    expect(tried).toEqual(['bad', 'good', 'bad']);
    expect([queue.size, faults.length]).toEqual([1, 2]);
    queue.stop();
    endWatching();
  });

  it('[SE32] tries at most 16 items at a time, and discards the oldest beyond its limit', async () => {
    const { queue, tried, discarded, mostAtOnce } = queueOf(100);
    for (let index = 0; index < 150; index += 1) queue.add(`key-${index}`, `item-${index}`);
    expect(queue.size).toBe(100);
    expect(discarded).toHaveLength(50);
    expect(discarded[0]).toBe('item-0');

    await queue.retryNow();

    expect(tried).toHaveLength(100);
    expect(mostAtOnce()).toBe(16);
    queue.stop();
  });

  it('[SE32] tries matching items at once, the newest under each key, and none after it is stopped', async () => {
    const { queue, tried, letRetriesSucceed } = queueOf(10);
    queue.add('ann', 'old');
    queue.add('ann', 'new');
    queue.add('bob', 'bob');
    letRetriesSucceed();

    await queue.retryNow((item) => item === 'new');

    expect(tried.map(({ item }) => item)).toEqual(['new']);
    queue.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(tried).toHaveLength(1);
  });
});
