import { silentLogger } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FAREWELL_MS, HANDOVER_MS, STOP_DEADLINE_MS, stopOnce } from './lifecycle.ts';

describe('stopOnce', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const taking = (ms: number) => ({ stop: () => new Promise<void>((resolve) => setTimeout(resolve, ms)) });

  it('[LC1] [LC14] a stop whose parts take all of their time succeeds, and one that hangs is aborted', async () => {
    const exits: number[] = [];
    const exit = (code: number): void => void exits.push(code);
    stopOnce([taking(HANDOVER_MS), taking(2 * FAREWELL_MS)], silentLogger(), exit)('SIGTERM', 0);
    await vi.advanceTimersByTimeAsync(HANDOVER_MS + 2 * FAREWELL_MS);
    expect(exits).toEqual([0]);
    vi.clearAllTimers();
    stopOnce([taking(10 * STOP_DEADLINE_MS)], silentLogger(), exit)('SIGTERM', 0);
    await vi.advanceTimersByTimeAsync(STOP_DEADLINE_MS);
    expect(exits).toEqual([0, 1]);
  });

  it('[LC15] a second call exits at once', () => {
    const exits: number[] = [];
    const stop = stopOnce([taking(60_000)], silentLogger(), (code) => void exits.push(code));
    stop('SIGTERM', 0);
    stop('SIGTERM', 0);
    expect(exits).toEqual([1]);
  });
});
