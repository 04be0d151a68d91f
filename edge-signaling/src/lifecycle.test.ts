import { MemoryRegistry, SAME_REQUEST_MS, silentLogger, systemClock } from '@plenary/cluster';
import { edgeRecord } from '@plenary/cluster/testing/samples';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Announcer, guardProcess, STOP_DEADLINE_MS } from './lifecycle.ts';
import type { ProcessHooks } from './lifecycle.ts';

class ScriptedProcess implements ProcessHooks {
  readonly exits: number[] = [];
  readonly #listeners = new Map<string, (fault: unknown) => void>();

  on(event: string, listener: (fault: unknown) => void): void {
    this.#listeners.set(event, listener);
  }

  exit(code: number): void {
    this.exits.push(code);
  }

  listensTo(event: string): boolean {
    return this.#listeners.has(event);
  }

  emit(event: string, fault?: unknown): void {
    this.#listeners.get(event)?.(fault);
  }
}

const noDrain = { drain: () => undefined };

describe('guardProcess', () => {
  it('[DR7] [DR26] drains before it stops, and ends the drain at a second signal', async () => {
    const steps: string[] = [];
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const stoppable = {
      drain: async () => {
        steps.push('drain');
        await promise;
        steps.push('drained');
      },
      stop: async () => Promise.resolve(void steps.push('stop')),
    };
    const signalledOnce = new ScriptedProcess();
    guardProcess(signalledOnce, stoppable, silentLogger());
    const signalledTwice = new ScriptedProcess();
    const endlessDrain = async () => new Promise(() => {});
    guardProcess(signalledTwice, { ...stoppable, drain: endlessDrain }, silentLogger());

    signalledOnce.emit('SIGTERM');
    expect(steps).toEqual(['drain']);
    resolve(undefined);
    await vi.waitFor(() => expect(signalledOnce.exits).toEqual([0]), 25_000);
    expect(steps).toEqual(['drain', 'drained', 'stop']);

    signalledTwice.emit('SIGTERM');
    signalledTwice.emit('SIGTERM');
    await vi.waitFor(() => expect(signalledTwice.exits).toEqual([0]), 25_000);
  });

  it('[LC1] stops at SIGTERM and exits with 0', async () => {
    const subject = new ScriptedProcess();
    const stop = vi.fn(async () => Promise.resolve());
    guardProcess(subject, { ...noDrain, stop }, silentLogger());

    subject.emit('SIGTERM');
    await vi.waitFor(() => expect(subject.exits).toEqual([0]), 25_000);

    expect(stop).toHaveBeenCalledOnce();
  });

  it('[DR32] exits at once with 1 at a signal during the stop', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const subject = new ScriptedProcess();
    const stop = vi.fn(async () => new Promise<void>(() => {}));
    guardProcess(subject, { ...noDrain, stop }, silentLogger());

    subject.emit('SIGTERM');
    await vi.advanceTimersByTimeAsync(SAME_REQUEST_MS);
    expect(subject.exits).toEqual([]);
    subject.emit('SIGINT');

    expect(subject.exits).toEqual([1]);
    expect(stop).toHaveBeenCalledOnce();
  });

  it('[LC9] [LC21] stops at SIGHUP, too, and keeps SIGUSR1 from opening a debugger', async () => {
    const subject = new ScriptedProcess();
    guardProcess(subject, { ...noDrain, stop: async () => Promise.resolve() }, silentLogger());
    expect(subject.listensTo('SIGUSR1')).toBe(true);

    subject.emit('SIGHUP');

    await vi.waitFor(() => expect(subject.exits).toEqual([0]), 25_000);
  });

  it('[LC14] exits with 1 when the stop fails or takes longer than its deadline', async () => {
    vi.useFakeTimers();
    try {
      const [failing, hanging] = [new ScriptedProcess(), new ScriptedProcess()];
      const failingStop = async () => Promise.reject(new Error('no'));
      const hangingStop = async () => new Promise<void>(() => {});

      guardProcess(failing, { ...noDrain, stop: failingStop }, silentLogger()).stop('test');
      guardProcess(hanging, { ...noDrain, stop: hangingStop }, silentLogger()).stop('test');
      await vi.advanceTimersByTimeAsync(STOP_DEADLINE_MS);

      expect(failing.exits[0]).toBe(1);
      expect(hanging.exits).toEqual([1]);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each(['uncaughtException', 'unhandledRejection'])('[LC2] exits with 1 at an %s', (event) => {
    const subject = new ScriptedProcess();
    guardProcess(subject, { ...noDrain, stop: async () => Promise.resolve() }, silentLogger());

    subject.emit(event, new Error('nobody caught this'));

    expect(subject.exits).toEqual([1]);
  });
});

describe('Announcer', () => {
  it('[LC4] knows that another living process has its id, and withdraws only its own announcement', async () => {
    const registry = new MemoryRegistry(systemClock);
    const settings = { registry, leaseMs: 60_000, logger: silentLogger(), reportFault: () => {} };
    const [first, second] = [edgeRecord('edge-1'), edgeRecord('edge-1')];
    const holder = new Announcer({ ...settings, record: () => first });
    const late = new Announcer({ ...settings, record: () => second });
    await holder.announce();
    await late.announce();
    expect([holder.isIdTaken, late.isIdTaken]).toEqual([false, true]);
    await late.withdraw();
    expect(await registry.liveEdges()).toEqual([first]);
    await holder.withdraw();
    expect(await registry.liveEdges()).toEqual([]);
  });
});
