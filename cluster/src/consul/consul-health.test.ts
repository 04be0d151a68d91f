import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../clock.ts';
import { silentLogger } from '../process/logging.ts';
import { ConsulHealth } from './consul-health.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function watched() {
  const clock = new ManualClock();
  const lines: string[] = [];
  const logger = silentLogger();
  for (const level of ['error', 'warn', 'info'] as const) logger[level] = () => lines.push(level);
  const health = new ConsulHealth(logger, clock);
  const changes: boolean[] = [];
  health.onChange((available) => changes.push(available));
  const pass = (ms: number): void => {
    clock.advance(ms);
    vi.advanceTimersByTime(ms);
  };
  return { health, changes, lines, pass };
}

describe('whether Consul serves', () => {
  it('[HL19] is damped: an agent that flaps causes few changes and few log lines', () => {
    const { health, changes, lines, pass } = watched();
    for (let change = 0; change < 113; change += 1) {
      health.noteRead(change % 2 === 0 ? undefined : 'failing');
      pass(15_000 / 113);
    }
    health.noteRead('failing');
    expect(changes.length).toBeLessThanOrEqual(6);
    expect(lines.length).toBeLessThanOrEqual(6);
    expect([health.isAvailable(), health.trouble]).toEqual([false, 'failing']);
    health.noteRead(undefined);
    expect(health.trouble).toBe('failing');
    pass(4_000);
    expect([health.isAvailable(), health.trouble]).toEqual([true, undefined]);
  });

  it('[HL4] is back at once after a single loss, and the next outage is logged again', () => {
    const { health, changes, lines, pass } = watched();
    for (let outage = 0; outage < 2; outage += 1) {
      health.noteRead(undefined);
      health.noteRead('no_answer');
      health.noteRead('no_answer');
      health.noteRead(undefined);
      pass(60_000);
    }
    expect(changes).toEqual([true, false, true, false, true]);
    expect(lines.filter((line) => line === 'warn')).toHaveLength(2);
  });

  it('[HL19] a right to announce that flaps causes few log lines', () => {
    const { health, lines } = watched();
    health.noteRead(undefined);
    for (let change = 0; change < 50; change += 1)
      health.noteAnnounced(change % 2 === 0 ? 'access_denied' : undefined);
    expect(lines.filter((line) => line === 'error').length).toBeLessThanOrEqual(3);
    expect(health.isAvailable()).toBe(true);
  });
});
