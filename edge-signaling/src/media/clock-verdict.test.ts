import { describe, expect, it } from 'vitest';
import { isOwnClockOff } from './clock-verdict.ts';

describe('whose clock is off', () => {
  it('[HL47] is this edge’s when it differs from Redis and from most media nodes', () => {
    expect(isOwnClockOff(true, [60_000, 60_010])).toBe(true);
    expect(isOwnClockOff(true, [-60_000, -60_000, 0])).toBe(true);
  });

  it('[HL47] is Redis’ when the media nodes agree with this edge', () => {
    expect(isOwnClockOff(true, [20, -1_500])).toBe(false);
    expect(isOwnClockOff(true, [20])).toBe(false);
    expect(isOwnClockOff(true, [-60_000, 0])).toBe(false);
  });

  it('[HL47] is not known where no media node says its time', () => {
    expect(isOwnClockOff(true, [])).toBe(false);
  });

  it('[HL47] is nobody’s, or a media node’s, when it agrees with Redis', () => {
    expect(isOwnClockOff(false, [60_000, 60_000])).toBe(false);
  });
});
