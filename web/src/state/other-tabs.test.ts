import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { announceToTabs } from './other-tabs.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('[WB21] other tabs learn who this tab is, even if the browser did not grant the lock at once', async () => {
  const request = vi.fn(() => Promise.resolve());
  request.mockRejectedValueOnce(new Error('The provided callback is no longer runnable.'));
  vi.stubGlobal('navigator', { locks: { request } });
  announceToTabs('ann', new AbortController().signal);
  await vi.advanceTimersByTimeAsync(60_000);

  expect(request.mock.calls).toHaveLength(2);
});

it('[WB21] a lock for a previous peer is not requested again once the tab has a new peer', async () => {
  const over = new AbortController();
  const request = vi.fn(() => Promise.reject(new Error('The provided callback is no longer runnable.')));
  vi.stubGlobal('navigator', { locks: { request } });
  announceToTabs('ann', over.signal);
  over.abort();
  await vi.advanceTimersByTimeAsync(60_000);

  expect(request.mock.calls).toHaveLength(1);
});
