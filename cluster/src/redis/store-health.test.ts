import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../clock.ts';
import { holdMs } from '../damping.ts';
import { silentLogger } from '../process/logging.ts';
import { StoreHealth } from './store-health.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function watched() {
  const clock = new ManualClock();
  const told: boolean[] = [];
  const health = new StoreHealth(
    { onAvailability: (available) => told.push(available), onTrouble: () => undefined },
    silentLogger(),
    clock,
  );
  const pass = (ms: number): void => {
    clock.advance(ms);
    vi.advanceTimersByTime(ms);
  };
  return { health, told, pass };
}

describe('what counts as a store that serves', () => {
  it('[HL19] is damped: a store that flaps 113 times in 15 s changes a few times', () => {
    const { health, told, pass } = watched();
    for (let change = 0; change < 113; change += 1) {
      if (change % 2 === 0) health.found('whole');
      else health.found('none', 'read_only');
      pass(15_000 / 113);
    }
    expect(told.length).toBeLessThanOrEqual(6);
    expect(health.isAvailable).toBe(false);
    health.found('whole');
    pass(4_000);
    expect(health.isAvailable).toBe(true);
  });

  it('[HL4] is unavailable at once, and back at once after a single loss', () => {
    const { health, told } = watched();
    health.found('whole');
    health.found('none', 'no_connection');
    health.found('whole');
    expect(told).toEqual([true, false, true]);
    expect([0, 1, 2, 3, 4, 9].map(holdMs)).toEqual([0, 0, 0, 1_000, 2_000, 4_000]);
  });

  it('[HL1] [HL18] keeps the specific cause while the connection is opened again', () => {
    const { health, pass } = watched();
    health.found('whole');
    health.found('none', 'read_only');
    health.found('none', 'no_connection');
    expect(health.trouble).toBe('read_only');
    pass(3_000);
    health.found('none', 'no_connection');
    expect(health.trouble).toBe('no_connection');
  });
});
