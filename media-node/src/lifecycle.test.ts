import { SAME_REQUEST_MS, silentLogger } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FAREWELL_MS, HANDOVER_MS, STOP_DEADLINE_MS, stopOnSignals } from './lifecycle.ts';

/** A media node of which each part takes so many milliseconds to stop, and which has nobody to drain. */
function nodeOfParts(...partsMs: readonly number[]) {
  const exits: number[] = [];
  const signals = new Map<string, () => void>();
  stopOnSignals(
    { on: (signal, listener) => signals.set(signal, listener), exit: (code) => void exits.push(code) },
    partsMs.map((ms) => ({ stop: () => new Promise<void>((resolve) => setTimeout(resolve, ms)) })),
    () => undefined,
    silentLogger(),
  );
  return { exits, signal: (name: string) => signals.get(name)?.() };
}

describe('stopOnSignals', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[LC1] lets a stop finish whose parts take all of their time, and exits with 0', async () => {
    const { exits, signal } = nodeOfParts(HANDOVER_MS, 2 * FAREWELL_MS);

    signal('SIGTERM');
    await vi.advanceTimersByTimeAsync(HANDOVER_MS + 2 * FAREWELL_MS);

    expect(exits).toEqual([0]);
  });

  it('[LC14] cuts a stop short that takes longer than its deadline, and exits with 1', async () => {
    const { exits, signal } = nodeOfParts(10 * STOP_DEADLINE_MS);

    signal('SIGTERM');
    await vi.advanceTimersByTimeAsync(STOP_DEADLINE_MS);

    expect(exits).toEqual([1]);
  });

  it('[DR32] exits at once with 1 at a signal during the stop', async () => {
    const { exits, signal } = nodeOfParts(STOP_DEADLINE_MS);

    signal('SIGTERM');
    await vi.advanceTimersByTimeAsync(SAME_REQUEST_MS);
    expect(exits).toEqual([]);
    signal('SIGINT');

    expect(exits).toEqual([1]);
  });
});
