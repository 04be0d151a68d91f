import { describe, expect, it } from 'vitest';
import { ASK_AGAIN_MS, DRAIN_TICK_MS, LEAST_BATCH, nextToLeave } from './pace.ts';

const fresh = (count: number) =>
  Array.from({ length: count }, (_, member) => ({ member, askedAtMs: undefined }));

/** Simulates a drain in which everybody leaves a moment after being asked. @returns the number that were asked in each tick */
function play(count: number, deadlineAtMs: number): number[] {
  const asked: number[] = [];
  let left = fresh(count);
  for (let nowMs = 0; left.length > 0 && nowMs < deadlineAtMs; nowMs += DRAIN_TICK_MS) {
    const batch = new Set(nextToLeave(left, { nowMs, deadlineAtMs }));
    asked.push(batch.size);
    left = left.filter(({ member }) => !batch.has(member));
  }
  expect(left).toEqual([]);
  return asked;
}

describe('the pace of a drain', () => {
  it('[DR2] a few members leave at once', () => {
    expect(play(LEAST_BATCH, 600_000)).toEqual([LEAST_BATCH]);
    expect(play(0, 600_000)).toEqual([]);
  });

  it.each([
    [1_000, 600_000],
    [5_000, 600_000],
    [1_000, 20_000],
    [3, 600],
  ])('[DR2] %i members leave in batches that never grow, all within %i ms', (count, deadlineMs) => {
    const asked = play(count, deadlineMs);
    expect(asked.reduce((sum, batch) => sum + batch, 0)).toBe(count);
    expect([...asked].sort((left, right) => right - left)).toEqual(asked);
    const ticks = Math.max(1, deadlineMs / DRAIN_TICK_MS);
    expect(asked[0]).toBeLessThanOrEqual(Math.max(LEAST_BATCH, Math.ceil((count / ticks) * 2)));
  });

  it('[DR11] past the deadline every member is due', () => {
    expect(nextToLeave(fresh(100), { nowMs: 10, deadlineAtMs: 0 })).toHaveLength(100);
  });

  it('[DR10] a member that was asked is left alone for a while, then asked again after those that were not', () => {
    const members = [
      { member: 'waits', askedAtMs: 1 },
      { member: 'again', askedAtMs: 0 },
      { member: 'new', askedAtMs: undefined },
    ];
    const time = { nowMs: ASK_AGAIN_MS, deadlineAtMs: 600_000 };
    expect(nextToLeave(members, time)).toEqual(['new', 'again']);
  });
});
