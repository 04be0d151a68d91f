import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../clock.ts';
import { silentLogger } from './logging.ts';
import { SAME_REQUEST_MS, StopSequence } from './stop-sequence.ts';
import type { StopSequenceSettings } from './stop-sequence.ts';

const STOP_WITHIN_MS = 9_000;
const never = async (): Promise<never> => new Promise(() => {});

/** A process whose drain and stop never end, except where the settings say otherwise. */
function processWith(settings: Partial<Pick<StopSequenceSettings, 'drain' | 'stop'>>) {
  const exits: number[] = [];
  const signals = new Map<string, () => void>();
  const stop = vi.fn(settings.stop ?? never);
  const sequence = new StopSequence({
    process: {
      on: (signal, listener) => signals.set(signal, listener),
      exit: (code) => void exits.push(code),
    },
    drain: settings.drain ?? never,
    stop,
    stopWithinMs: STOP_WITHIN_MS,
    clock: systemClock,
    logger: silentLogger(),
  });
  sequence.listen();
  return { exits, stop, sequence, signal: (name: string) => signals.get(name)?.() };
}

describe('StopSequence', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[DR7] drains at the first signal, then stops and exits with 0', async () => {
    const drained = Promise.withResolvers<undefined>();
    const { exits, stop, signal } = processWith({
      drain: () => drained.promise,
      stop: async () => Promise.resolve(),
    });

    signal('SIGTERM');
    expect(stop).not.toHaveBeenCalled();
    drained.resolve(undefined);
    await vi.advanceTimersByTimeAsync(0);

    expect(stop).toHaveBeenCalledOnce();
    expect(exits).toEqual([0]);
  });

  it('[DR7] stops at once where there is nothing to drain', () => {
    const { stop, signal } = processWith({ drain: () => undefined });

    signal('SIGTERM');

    expect(stop).toHaveBeenCalledOnce();
  });

  it('[DR7] stops when the drain fails', async () => {
    const { stop, signal } = processWith({ drain: async () => Promise.reject(new Error('no drain')) });

    signal('SIGTERM');
    await vi.advanceTimersByTimeAsync(0);

    expect(stop).toHaveBeenCalledOnce();
  });

  it('[DR26] a second signal ends the drain and begins one orderly stop', async () => {
    const drained = Promise.withResolvers<undefined>();
    const { exits, stop, signal } = processWith({ drain: () => drained.promise });

    signal('SIGTERM');
    signal('SIGINT');
    drained.resolve(undefined);
    await vi.advanceTimersByTimeAsync(0);

    expect(stop).toHaveBeenCalledOnce();
    expect(exits).toEqual([]);
  });

  it('[DR32] a signal during the stop exits at once with 1', async () => {
    const { exits, signal } = processWith({ drain: () => undefined });

    signal('SIGTERM');
    await vi.advanceTimersByTimeAsync(SAME_REQUEST_MS);
    expect(exits).toEqual([]);
    signal('SIGTERM');

    expect(exits).toEqual([1]);
  });

  it('[DR33] Ctrl-C in a terminal, which also arrives from the launcher as SIGTERM, is one request to stop', async () => {
    const { exits, stop, signal } = processWith({ drain: () => undefined });

    signal('SIGINT');
    await vi.advanceTimersByTimeAsync(SAME_REQUEST_MS - 1);
    signal('SIGTERM');

    expect(stop).toHaveBeenCalledOnce();
    expect(exits).toEqual([]);
  });

  it('[LC15] another reason to stop changes nothing during a stop, nor does the end of the drain', async () => {
    const drained = Promise.withResolvers<undefined>();
    const { exits, stop, signal, sequence } = processWith({ drain: () => drained.promise });

    signal('SIGTERM');
    sequence.stop('the parent is gone');
    sequence.stop('the registry refuses this media node', 1);
    drained.resolve(undefined);
    await vi.advanceTimersByTimeAsync(0);

    expect(stop).toHaveBeenCalledOnce();
    expect(exits).toEqual([]);
  });

  it('[LC14] exits with 1 when the stop fails or takes too long', async () => {
    const failing = processWith({ stop: async () => Promise.reject(new Error('no stop')) });
    const hanging = processWith({});

    failing.sequence.stop('test');
    hanging.sequence.stop('test');
    await vi.advanceTimersByTimeAsync(STOP_WITHIN_MS - 1);
    expect(failing.exits).toEqual([1]);
    expect(hanging.exits).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);

    expect(hanging.exits).toEqual([1]);
  });
});
