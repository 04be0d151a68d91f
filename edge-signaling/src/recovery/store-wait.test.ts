import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { STORE_PATIENCE_MS, StoreWait } from './store-wait.ts';

describe('StoreWait', () => {
  let isAvailable = false;
  const wait = new StoreWait(() => isAvailable);
  const outcome = async (): Promise<string> =>
    wait.untilAvailable().then(
      () => 'there',
      (fault: unknown) => String(fault),
    );

  beforeEach(() => {
    isAvailable = false;
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[SE18] lets somebody go on as soon as the store is back, and at once while it is there', async () => {
    const first = outcome();
    await vi.advanceTimersByTimeAsync(STORE_PATIENCE_MS - 1);
    isAvailable = true;
    wait.returned();
    expect(await first).toBe('there');
    expect(await outcome()).toBe('there');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('[SE18] refuses in the end', async () => {
    const first = outcome();
    await vi.advanceTimersByTimeAsync(STORE_PATIENCE_MS);
    expect(await first).toContain('The store does not answer');
  });
});
