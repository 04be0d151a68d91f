import { MemoryRegistry, silentLogger, systemClock } from '@plenary/cluster';
import { edgeRecord } from '@plenary/cluster/testing/samples';
import { describe, expect, it, vi } from 'vitest';
import { Announcer, guardProcess } from './lifecycle.ts';
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
  it('[DR7] [DR26] drains before it stops, and a second signal ends that', async () => {
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
    const patient = new ScriptedProcess();
    guardProcess(patient, stoppable, silentLogger());
    const hurried = new ScriptedProcess();
    guardProcess(hurried, { ...stoppable, drain: async () => new Promise(() => {}) }, silentLogger());
    patient.emit('SIGTERM');
    expect(steps).toEqual(['drain']);
    resolve(undefined);
    await vi.waitFor(() => expect(patient.exits).toEqual([0]), 25_000);
    expect(steps).toEqual(['drain', 'drained', 'stop']);
    hurried.emit('SIGTERM');
    hurried.emit('SIGTERM');
    await vi.waitFor(() => expect(hurried.exits).toEqual([0]), 25_000);
  });

  it('[LC1] stops once at SIGTERM and exits with 0', async () => {
    const subject = new ScriptedProcess();
    const stop = vi.fn(async () => Promise.resolve());
    guardProcess(subject, { ...noDrain, stop }, silentLogger());
    subject.emit('SIGTERM');
    subject.emit('SIGINT');
    await vi.waitFor(() => expect(subject.exits).toEqual([0]), 25_000);
    expect(stop).toHaveBeenCalledOnce();
  });

  it('[LC9] [LC21] drains and stops at SIGHUP, too, and leaves SIGUSR1 to no debugger', async () => {
    const subject = new ScriptedProcess();
    guardProcess(subject, { ...noDrain, stop: async () => Promise.resolve() }, silentLogger());
    expect(subject.listensTo('SIGUSR1')).toBe(true);
    subject.emit('SIGHUP');
    await vi.waitFor(() => expect(subject.exits).toEqual([0]), 25_000);
  });

  it('[LC14] exits with 1 when the stop fails or hangs', async () => {
    vi.useFakeTimers();
    try {
      const failing = new ScriptedProcess();
      guardProcess(
        failing,
        { ...noDrain, stop: async () => Promise.reject(new Error('no')) },
        silentLogger(),
      )('test');
      const hanging = new ScriptedProcess();
      guardProcess(hanging, { ...noDrain, stop: async () => new Promise(() => {}) }, silentLogger())('test');
      await vi.advanceTimersByTimeAsync(5_000);
      expect(failing.exits[0]).toBe(1);
      expect(hanging.exits).toEqual([1]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('[LC2] what nobody caught ends the process with 1', () => {
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      const subject = new ScriptedProcess();
      guardProcess(subject, { ...noDrain, stop: async () => Promise.resolve() }, silentLogger());
      subject.emit(event, new Error('nobody caught this'));
      expect(subject.exits).toEqual([1]);
    }
  });
});

describe('Announcer', () => {
  it('[LC4] tells that another living process has the id, and takes only its own announcement back', async () => {
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
