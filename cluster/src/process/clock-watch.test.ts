import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../clock.ts';
import { ClockWatch, offsetMs } from './clock-watch.ts';

const error = vi.fn();
const warn = vi.fn();
const info = vi.fn();
const show = vi.fn();
let clock: ManualClock;
let theirMs: () => Promise<number>;
let watch: ClockWatch;

beforeEach(() => {
  for (const spy of [error, warn, info, show]) spy.mockClear();
  clock = new ManualClock();
  theirMs = async () => Promise.resolve(clock.wallMs());
  const store = { timeMs: async () => theirMs(), onAvailability: () => () => undefined };
  watch = new ClockWatch({ store, clock, logger: { error, warn, info }, show });
});

/** Sets the store's clock this far behind this host's. */
function behindBy(aheadMs: number, roundTripMs = 0): void {
  theirMs = async () => {
    const answer = clock.wallMs() + roundTripMs / 2 - aheadMs;
    clock.advance(roundTripMs);
    return Promise.resolve(answer);
  };
}

describe('the comparison of clocks', () => {
  it('[HL12] halves the round trip', () => {
    expect(offsetMs(10_100, 10_000, 200)).toBe(0);
    expect(offsetMs(70_100, 10_000, 200)).toBe(60_000);
  });

  it('[HL12] shows the difference, logs one beyond two seconds once, and logs its end', async () => {
    behindBy(1_900, 800);
    await watch.compare();
    expect(show).toHaveBeenLastCalledWith(1.9);
    expect(warn).not.toHaveBeenCalled();
    behindBy(-3_500, 800);
    await watch.compare();
    await watch.compare();
    expect(show).toHaveBeenLastCalledWith(-3.5);
    expect(warn.mock.calls).toEqual([
      [{ seconds: -3.5 }, expect.stringContaining('3.5 s behind that of Redis')],
    ]);
    expect(watch.isOff).toBe(false);
    behindBy(31_000);
    await watch.compare();
    await watch.compare();
    expect(error.mock.calls).toEqual([
      [{ seconds: 31 }, expect.stringContaining('31 s ahead of that of Redis')],
    ]);
    behindBy(0);
    await watch.compare();
    expect([warn.mock.calls.length, info.mock.calls.length]).toEqual([1, 1]);
  });

  it.each([60_000, -60_000])(
    '[HL12] is off by %s ms, at which tokens fail that other processes accept',
    async (apartMs) => {
      behindBy(apartMs);
      await watch.compare();
      expect(watch.isOff).toBe(true);
      expect(error.mock.calls[0]?.[1]).toContain('60 s');
      // A comparison that took too long counts for nothing, nor does one that failed: the last good one counts.
      behindBy(0, 5_000);
      await watch.compare();
      theirMs = async () => Promise.reject(new Error('away'));
      await watch.compare();
      expect(watch.isOff).toBe(true);
      behindBy(29_000);
      await watch.compare();
      expect(watch.isOff).toBe(false);
    },
  );
});
