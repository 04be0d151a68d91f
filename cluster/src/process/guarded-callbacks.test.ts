import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  after,
  afterTurn,
  answering,
  guardCallback,
  every,
  inBackground,
  watchEntries,
} from './guarded-callbacks.ts';
import type { EntryKind } from './guarded-callbacks.ts';

const told: { kind: EntryKind; fault: unknown }[] = [];
let stopWatching: () => void;
beforeEach(() => {
  told.length = 0;
  stopWatching = watchEntries((kind, fault) => told.push({ kind, fault }));
});
afterEach(() => {
  stopWatching();
  vi.useRealTimers();
});

const broken = new Error('broken');
const fail = (): never => {
  throw broken;
};
const reject = async (): Promise<never> => Promise.reject(broken);
const settled = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a guarded callback', () => {
  it('[EN4] passes its arguments on, and reports nothing if nothing fails', async () => {
    const heard: unknown[] = [];
    guardCallback('socket', (...args: readonly [number, string]) => heard.push(...args))(1, 'two');
    guardCallback('socket', async (value: number) => Promise.resolve(heard.push(value)))(3);
    await settled();
    expect(heard).toEqual([1, 'two', 3]);
    expect(told).toEqual([]);
  });

  it('[EN21] that must answer returns its handler’s answer, or the other answer if that throws', () => {
    const double = answering('store', 0, (value: number) => 2 * value);
    expect(double(4)).toBe(8);
    expect(answering('store', 100, fail)()).toBe(100);
    expect(told).toEqual([{ kind: 'store', fault: broken }]);
  });

  it('[EN4] reports thrown and rejected errors, and throws nothing', async () => {
    guardCallback('http', fail)();
    guardCallback('pubsub', reject)();
    inBackground(fail);
    inBackground(reject);
    afterTurn(fail);
    await settled();
    await settled();
    expect(told.map(({ kind }) => kind).sort()).toEqual([
      'background',
      'background',
      'http',
      'pubsub',
      'timer',
    ]);
    expect(told.every(({ fault }) => fault === broken)).toBe(true);
  });

  it('[EN22] a failing tick stops no later one', () => {
    vi.useFakeTimers();
    let ticks = 0;
    const timer = every(10, () => {
      ticks += 1;
      throw broken;
    });
    after(15, fail);
    vi.advanceTimersByTime(30);
    clearInterval(timer);
    expect(ticks).toBe(3);
    expect(told.map(({ kind }) => kind)).toEqual(['timer', 'timer', 'timer', 'timer']);
  });

  it('[EN4] survives a watcher that throws', () => {
    const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const stop = watchEntries(fail);
    guardCallback('signal', fail)();
    expect(written).toHaveBeenCalledWith(expect.stringContaining('signal'));
    written.mockRestore();
    stop();
  });
});
