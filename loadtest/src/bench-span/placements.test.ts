import { describe, expect, it } from 'vitest';
import { parseSpanOptions } from './options.ts';
import { describePlacements, figuresOf } from './placements.ts';
import { isReached } from './section.ts';

const LOAD = { name: 'paced', processes: 2, inFlight: 8, perSecond: 5_000, readsRoom: false };

describe('the figures of placements', () => {
  it('sum up all processes', () => {
    const first = { latenciesMs: [3, 1], failed: 1, tookMs: 1_000 };
    const second = { latenciesMs: [2, 40], failed: 0, tookMs: 2_000 };
    expect(figuresOf(LOAD, [first, second])).toEqual({
      ...LOAD,
      placements: 4,
      failed: 1,
      placedPerSecond: 3,
      p50Ms: 2,
      p99Ms: 40,
      worstMs: 40,
    });
  });

  it('miss the goals when nothing was placed, and when placing was slow', () => {
    const none = figuresOf(LOAD, [{ latenciesMs: [], failed: 0, tookMs: 1_000 }]);
    expect(describePlacements([none]).aims.map(isReached)).toEqual([false, false]);
    const slow = { ...none, placedPerSecond: 6_000, p99Ms: 5.1 };
    expect(describePlacements([slow]).aims.map(isReached)).toEqual([true, false]);
    expect(describePlacements([{ ...slow, p99Ms: 5 }]).aims.map(isReached)).toEqual([true, true]);
  });
});

describe('the options of bench:span', () => {
  it('name sections and a duration', () => {
    expect(parseSpanOptions(['--only', 'placements, hop', '--seconds', '1'])).toEqual({
      only: ['placements', 'hop'],
      seconds: 1,
    });
    expect(() => parseSpanOptions(['--seconds', '0'])).toThrow(/--seconds/);
    expect(parseSpanOptions(['-h'])).toBe('help');
  });
});
