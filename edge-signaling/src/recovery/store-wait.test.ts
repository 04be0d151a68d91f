import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { STORE_PATIENCE_MS, StoreWait } from './store-wait.ts';

describe('StoreWait', () => {
  let isAvailable = false;
  const wait = new StoreWait(() => isAvailable);
  const outcomeOfWait = async (): Promise<string> =>
    wait.untilAvailable().then(
      () => 'available',
      (fault: unknown) => String(fault),
    );

  beforeEach(() => {
    isAvailable = false;
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[SE18] ends as soon as the store is back, and at once while it is available', async () => {
    const outcome = outcomeOfWait();
    await vi.advanceTimersByTimeAsync(STORE_PATIENCE_MS - 1);

    isAvailable = true;
    wait.returned();

    expect(await outcome).toBe('available');
    expect(await outcomeOfWait()).toBe('available');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('[SE18] fails if the store is not back within the time limit', async () => {
    const outcome = outcomeOfWait();

    await vi.advanceTimersByTimeAsync(STORE_PATIENCE_MS);

    expect(await outcome).toContain('The store does not answer');
  });
});
