import { ManualClock } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { ConnectGate } from './connect-gate.ts';

function gateOf(atOnce: number) {
  const clock = new ManualClock();
  let ending: (() => void) | undefined;
  let isBehind = false;
  const gate = new ConnectGate({
    atOnce,
    atOnceBehind: 1,
    isBehind: () => isBehind,
    lateMs: 100,
    clock,
    afterTurn: (callback) => {
      ending = callback;
    },
  });
  /** One turn in which so many connect; how many were let in. */
  const turn = (connects: number, tookMs: number): number => {
    const admitted = Array.from({ length: connects }, () => gate.admit()).filter(Boolean).length;
    clock.advance(tookMs);
    ending?.();
    return admitted;
  };
  const setBehind = (value: boolean): void => {
    isBehind = value;
  };
  return { clock, turn, setBehind };
}

describe('ConnectGate', () => {
  it('[HE7] lets everybody in while turns are short', () => {
    const { turn } = gateOf(4);
    expect([turn(500, 100), turn(500, 1)]).toEqual([500, 500]);
  });

  it('[HE7] after a late turn lets in only so many a turn, and everybody again when it is over', () => {
    const { clock, turn } = gateOf(4);
    expect(turn(500, 101)).toBe(500);
    expect([turn(500, 150), turn(3, 150), turn(500, 10)]).toEqual([4, 3, 4]);
    clock.advance(1_000);
    expect(turn(500, 1)).toBe(500);
  });

  it('[HE13] while those that are in wait too long, lets in fewer than that, and everybody again when it caught up', () => {
    const { turn, setBehind } = gateOf(4);
    setBehind(true);
    expect([turn(500, 1), turn(500, 200)]).toEqual([1, 1]);
    setBehind(false);
    expect(turn(500, 1)).toBe(4);
  });
});
