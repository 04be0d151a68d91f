import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LivenessProbe } from './liveness-probe.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test.each([0, 0.5, 0.999])(
  '[SE58] an edge that falls silent is left within 6 s, although nothing was requested of it (spread %s)',
  async (spread) => {
    vi.spyOn(Math, 'random').mockReturnValue(spread);
    const silent = vi.fn();
    const probe = new LivenessProbe({ oldestRequestMs: () => undefined, probe: () => undefined, silent });
    probe.received();
    probe.expectNotices();
    for (let notice = 0; notice < 10; notice += 1) {
      await vi.advanceTimersByTimeAsync(1_500);
      probe.received();
    }
    expect(silent).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(6_000);
    expect(silent).toHaveBeenCalledOnce();
    probe.stop();
  },
);
