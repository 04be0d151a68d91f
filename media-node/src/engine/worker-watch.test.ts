import { ManualClock } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PROBE_INTERVAL_MS, WORKER_SILENT_MS, WorkerWatch } from './worker-watch.ts';

const TICK_MS = 100;

/** A worker whose answers the test gives, watched over a time that the test advances. */
class WatchedWorker {
  readonly clock = new ManualClock();
  readonly faults: unknown[] = [];
  readonly watch: WorkerWatch;
  asked = 0;
  hung = 0;
  #answer: PromiseWithResolvers<void> | undefined;

  constructor(answersAtOnce: boolean) {
    this.watch = new WorkerWatch({
      probe: () => {
        this.asked += 1;
        if (answersAtOnce) return Promise.resolve();
        this.#answer = Promise.withResolvers<void>();
        return this.#answer.promise;
      },
      clock: this.clock,
      onHung: () => {
        this.hung += 1;
      },
      onFault: (fault) => this.faults.push(fault),
    });
  }

  answer(): void {
    this.#answer?.resolve();
  }

  refuse(fault: Error): void {
    this.#answer?.reject(fault);
  }

  /** Advances time while this process runs. */
  async pass(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += TICK_MS) await this.wake(TICK_MS);
  }

  /** Advances time while this process is stalled; then it runs again. */
  async wake(afterMs: number): Promise<void> {
    this.clock.advance(afterMs);
    await vi.advanceTimersByTimeAsync(TICK_MS);
  }
}

describe('WorkerWatch', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[WK9] probes a worker twice a second, and one that answers does not hang', async () => {
    const worker = new WatchedWorker(true);
    await worker.pass(10_000);
    expect(worker).toMatchObject({ asked: 10_000 / PROBE_INTERVAL_MS, hung: 0 });
  });

  it('[WK9] reports once that a worker does not answer, after a single probe', async () => {
    const worker = new WatchedWorker(false);
    await worker.pass(WORKER_SILENT_MS);
    expect(worker).toMatchObject({ asked: 1, hung: 0 });
    await worker.pass(TICK_MS);
    expect(worker.hung).toBe(1);
    await worker.pass(10_000);
    expect(worker).toMatchObject({ asked: 1, hung: 1 });
  });

  it('[WK9] a worker that answers late is probed again and does not hang', async () => {
    const worker = new WatchedWorker(false);
    for (let round = 1; round <= 5; round += 1) {
      await worker.pass(WORKER_SILENT_MS - 2 * TICK_MS);
      expect(worker.asked).toBe(round);
      worker.answer();
    }
    expect(worker.hung).toBe(0);
  });

  it('[WK20] does not take its own stall for the worker’s', async () => {
    const worker = new WatchedWorker(false);
    await worker.pass(WORKER_SILENT_MS);
    await worker.wake(10_000);
    await worker.pass(WORKER_SILENT_MS);
    expect(worker.hung).toBe(0);
    worker.answer();
    await worker.pass(WORKER_SILENT_MS);
    expect(worker.hung).toBe(0);
  });

  it('[WK9] an error is an answer, and is reported', async () => {
    const worker = new WatchedWorker(false);
    await worker.pass(WORKER_SILENT_MS);
    const fault = new Error('refused');
    worker.refuse(fault);
    await worker.pass(WORKER_SILENT_MS);
    expect(worker).toMatchObject({ asked: 2, hung: 0, faults: [fault] });
  });

  it('[WK9] ends when it is stopped', async () => {
    const worker = new WatchedWorker(false);
    worker.watch.stop();
    await worker.pass(10_000);
    expect(worker).toMatchObject({ asked: 0, hung: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });
});
