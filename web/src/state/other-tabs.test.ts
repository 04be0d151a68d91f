import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { announceToTabs } from './other-tabs.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('[WB21] other tabs are told who this one is, also where the browser could not give the lock at once', async () => {
  const request = vi.fn(() => Promise.resolve());
  request.mockRejectedValueOnce(new Error('The provided callback is no longer runnable.'));
  vi.stubGlobal('navigator', { locks: { request } });
  announceToTabs('ann', new AbortController().signal);
  await vi.runAllTimersAsync();
  expect(request.mock.calls).toHaveLength(2);
});

it('[WB21] who is somebody else by then is not asked for again', async () => {
  const over = new AbortController();
  const request = vi.fn(() => Promise.reject(new Error('The provided callback is no longer runnable.')));
  vi.stubGlobal('navigator', { locks: { request } });
  announceToTabs('ann', over.signal);
  over.abort();
  await vi.runAllTimersAsync();
  expect(request.mock.calls).toHaveLength(1);
});
