import type { NodeLoad } from '@plenary/cluster';
import type { WorkerPool } from './engine/worker-pool.ts';

/** How often load is measured, in milliseconds. */
export const MEASURE_MS = 1_000;

/** Measures what the node reports to the registry. */
export class LoadMeter {
  readonly #pool: WorkerPool;
  #timer: NodeJS.Timeout | undefined;
  #measuring = false;
  #controlCpu = 0;
  #last = { usage: process.cpuUsage(), atMs: performance.now() };

  constructor(pool: WorkerPool) {
    this.#pool = pool;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#measure();
    }, MEASURE_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** As last measured: fractions of one core. */
  get load(): NodeLoad {
    return {
      workerCpu: Math.max(0, ...this.#pool.alive().map((worker) => worker.cpu)),
      controlCpu: this.#controlCpu,
    };
  }

  #measure(): void {
    const usage = process.cpuUsage(this.#last.usage);
    const atMs = performance.now();
    const elapsedMs = atMs - this.#last.atMs;
    if (elapsedMs > 0) this.#controlCpu = (usage.user + usage.system) / 1_000 / elapsedMs;
    this.#last = { usage: process.cpuUsage(), atMs };
    // A worker that hangs must not pile up questions; the lease is renewed without its answer.
    if (this.#measuring) return;
    this.#measuring = true;
    void this.#pool.measureCpu().finally(() => {
      this.#measuring = false;
    });
  }
}
