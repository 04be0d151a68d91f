import { describe, expect, it } from 'vitest';
import type { Timing } from './delay-line.ts';
import { DelayLine } from './delay-line.ts';
import { seededRandom } from '@plenary/cluster/testing/seeded-random';

/** A clock that only moves when the test moves it. */
class ManualTiming implements Timing {
  #nowMs = 0;
  #timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();

  get armed(): number {
    return this.#timers.size;
  }

  readonly now = (): number => this.#nowMs;

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  advance(toMs: number): void {
    for (;;) {
      const [next] = [...this.#timers].filter(({ dueMs }) => dueMs <= toMs).sort((a, b) => a.dueMs - b.dueMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
    }
    this.#nowMs = toMs;
  }
}

describe('DelayLine', () => {
  it('delivers after the delay, not before', () => {
    const timing = new ManualTiming();
    const line = new DelayLine(timing);
    const delivered: number[] = [];
    line.push(1, 25, () => delivered.push(timing.now()));
    timing.advance(24);
    expect(delivered).toEqual([]);
    timing.advance(25);
    expect(delivered).toEqual([25]);
  });

  it('keeps the order under any jitter, and never delivers early', () => {
    const timing = new ManualTiming();
    const line = new DelayLine(timing);
    const random = seededRandom(7);
    const delivered: number[] = [];
    for (let index = 0; index < 2_000; index += 1) {
      timing.advance(timing.now() + random() * 3);
      const delayMs = 10 + random() * 20;
      const earliest = timing.now() + delayMs;
      line.push(1, delayMs, () => {
        expect(timing.now()).toBeGreaterThanOrEqual(earliest);
        delivered.push(index);
      });
    }
    timing.advance(1e6);
    expect(delivered).toEqual(Array.from({ length: 2_000 }, (_, index) => index));
    expect(timing.armed).toBe(0);
  });

  it('does not deliver when its timer fires early', () => {
    const timing = new ManualTiming();
    const early: Timing = {
      now: timing.now,
      schedule: (delayMs, callback) => timing.schedule(Math.max(0.1, delayMs - 0.4), callback),
    };
    const line = new DelayLine(early);
    let deliveredMs = -1;
    line.push(1, 10, () => {
      deliveredMs = timing.now();
    });
    timing.advance(100);
    expect(deliveredMs).toBeGreaterThanOrEqual(10);
  });

  it('begins the delay no earlier than requested', () => {
    const timing = new ManualTiming();
    const line = new DelayLine(timing);
    const delivered: number[] = [];
    line.push(1, 25, () => delivered.push(timing.now()), 50);
    line.push(1, 25, () => delivered.push(timing.now()));
    timing.advance(1_000);
    expect(delivered).toEqual([75, 75]);
  });

  it('counts the packets that it holds', () => {
    const timing = new ManualTiming();
    const line = new DelayLine(timing);
    line.push(100, 10, () => undefined);
    line.push(50, 20, () => undefined);
    expect(line.queued).toBe(150);
    timing.advance(10);
    expect(line.queued).toBe(50);
  });

  it('delivers nothing and leaves no timer once closed, also when closed by a delivery', () => {
    const timing = new ManualTiming();
    const line = new DelayLine(timing);
    const delivered: string[] = [];
    line.push(1, 10, () => {
      delivered.push('first');
      line.close();
    });
    line.push(1, 10, () => delivered.push('second'));
    timing.advance(100);
    line.push(1, 10, () => delivered.push('third'));
    timing.advance(200);
    expect(delivered).toEqual(['first']);
    expect(timing.armed).toBe(0);
    expect(line.queued).toBe(0);
  });
});

describe('seededRandom', () => {
  it('repeats its sequence for a seed, and stays between 0 and 1', () => {
    const left = seededRandom(42);
    const right = seededRandom(42);
    const other = seededRandom(43);
    const numbers = Array.from({ length: 1_000 }, () => left());
    expect(numbers).toEqual(Array.from({ length: 1_000 }, () => right()));
    expect(numbers).not.toEqual(Array.from({ length: 1_000 }, () => other()));
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  });
});
