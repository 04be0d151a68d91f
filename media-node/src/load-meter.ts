import { toPlenaryError } from '@plenary/cluster';
import type { Logger, NodeLoad } from '@plenary/cluster';
import type { WorkerPool } from './engine/worker-pool.ts';
import type { NodeMetrics } from './metrics.ts';
import type { NetworkMeter } from './network-meter.ts';

/** How often load is measured, in milliseconds. */
export const MEASURE_MS = 1_000;

/** Measures what the node reports to the registry. */
export class LoadMeter {
  readonly #pool: WorkerPool;
  readonly #network: NetworkMeter;
  readonly #metrics: NodeMetrics;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #measuring = false;
  /** Said once: a system that does not count packets does not begin to. */
  #networkFailed = false;
  #controlCpu = 0;
  #last = { usage: process.cpuUsage(), atMs: performance.now() };

  constructor(pool: WorkerPool, network: NetworkMeter, metrics: NodeMetrics, logger: Logger) {
    this.#pool = pool;
    this.#network = network;
    this.#metrics = metrics;
    this.#logger = logger;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#measure();
    }, MEASURE_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** As last measured: fractions of one core, and of what the node may send. */
  get load(): NodeLoad {
    return {
      workerCpu: Math.max(0, ...this.#pool.alive().map((worker) => worker.cpu)),
      controlCpu: this.#controlCpu,
      ...this.#network.load,
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
    void Promise.all([this.#pool.measureCpu(), this.#measureNetwork(atMs)]).finally(() => {
      this.#measuring = false;
      for (const [kind, value] of Object.entries(this.load)) this.#metrics.load.set({ kind }, value);
    });
  }

  /** Never rejects: without it the other loads count alone. */
  async #measureNetwork(nowMs: number): Promise<void> {
    if (this.#networkFailed) return;
    try {
      await this.#network.measure(nowMs);
    } catch (thrown) {
      this.#networkFailed = true;
      this.#metrics.errors.inc({ where: 'network', code: toPlenaryError(thrown).code });
      this.#logger.warn({ err: thrown }, 'the network’s load cannot be measured here and counts as none');
    }
  }
}
