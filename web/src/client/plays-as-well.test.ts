import { describe, expect, test, vi } from 'vitest';
import { isAsGood, playsAsWell } from './plays-as-well.ts';
import type { PlayedAt } from './plays-as-well.ts';

/** Samples every 50 ms of receivers with these frame rates, in frames per second. */
function samples(forMs: number, nextRate: number, oldRate: number, widths = [640, 640]): PlayedAt[] {
  const [nextWidth = 0, oldWidth = 0] = widths;
  const counted = (atMs: number, rate: number): number => Math.floor((atMs * rate) / 1_000);
  return Array.from({ length: forMs / 50 + 1 }, (_, index) => ({
    atMs: index * 50,
    next: { count: 1 + counted(index * 50, nextRate), width: nextWidth },
    old: { count: 100 + counted(index * 50, oldRate), width: oldWidth },
  }));
}

describe('a consumer that replaces another one', () => {
  test.each([
    ['plays as many frames for half a second', samples(500, 20, 20), true],
    ['has played its first frames only', samples(450, 20, 20), false],
    ['plays the lowest temporal layer', samples(2_000, 5, 20), false],
    ['plays half of the frames', samples(2_000, 10, 20), false],
    ['misses a frame on the border', samples(500, 28, 30), true],
    ['shows a screen on which nothing moves', samples(500, 0, 1), true],
    ['plays a smaller picture', samples(2_000, 20, 20, [320, 1_280]), false],
    ['plays a larger picture', samples(500, 20, 20, [1_280, 320]), true],
    ['is looked at for the first time', samples(0, 20, 20), false],
  ])('[DR4] %s', (_, seen, expected) => {
    expect(isAsGood(seen)).toBe(expected);
  });

  test('[DR4] is shown with its first frame, and not before, if the old one has ended', () => {
    const [first] = samples(0, 20, 20);
    if (first === undefined) throw new Error('there is one');

    expect(isAsGood([{ ...first, old: undefined }])).toBe(true);
    expect(isAsGood([{ ...first, next: { count: 0, width: 0 }, old: undefined }])).toBe(false);
    expect(isAsGood([])).toBe(false);
  });
});

describe('if the browser gives no statistics', () => {
  test('[DR4] only the time limit ends the wait, and the fault is reported once', async () => {
    vi.useFakeTimers();
    const fault = new Error('no statistics');
    const consumer = { kind: 'video', closed: false, getStats: () => Promise.reject(fault) } as const;
    const faults: unknown[] = [];
    let isOver = false;
    const waiting = playsAsWell(consumer, consumer, new AbortController().signal, 1_000, (thrown) => {
      faults.push(thrown);
    }).then(() => {
      isOver = true;
    });
    try {
      await vi.advanceTimersByTimeAsync(999);
      expect({ isOver, faults }).toEqual({ isOver: false, faults: [fault] });
      await vi.advanceTimersByTimeAsync(1);
      await waiting;
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
