import { describe, expect, test } from 'vitest';
import { CpuShare } from './cpu-share.ts';

/** Measures once a second, with this share of a core in each second. */
function after(...shares: readonly number[]): number {
  const cpu = new CpuShare();
  let cpuMs = 5_000;
  cpu.measure(cpuMs, 0);
  shares.forEach((share, index) => {
    cpuMs += share * 1_000;
    cpu.measure(cpuMs, (index + 1) * 1_000);
  });
  return cpu.share;
}

describe('the CPU share', () => {
  test('[PL23] CPU time before the first measurement does not count', () => {
    expect(after()).toBe(0);
    expect(after(0)).toBe(0);
  });

  test('[PL23] one busy second does not make a node full, several in a row do', () => {
    expect(after(1)).toBeLessThan(0.3);
    expect(after(1, 1, 1, 1)).toBeGreaterThan(0.7);
    expect(after(1, 1, 1, 1, 0, 0)).toBeLessThan(0.4);
  });

  test('[PL23] converges to the used share, also above one core', () => {
    expect(after(...Array<number>(60).fill(0.5))).toBeCloseTo(0.5, 5);
    expect(after(...Array<number>(60).fill(1.5))).toBeCloseTo(1.5, 5);
  });

  test('[PL23] a second measurement at the same time changes nothing', () => {
    const cpu = new CpuShare();
    cpu.measure(0, 0);
    cpu.measure(500, 1_000);
    const { share } = cpu;
    cpu.measure(500, 1_000);
    expect(cpu.share).toBe(share);
  });
});
