import { toPlenaryError, every, inBackground } from '@plenary/cluster';
import type { Logger, NodeLoad } from '@plenary/cluster';
import { CpuShare } from './engine/cpu-share.ts';
import type { WorkerPool } from './engine/worker-pool.ts';
import type { NodeMetrics } from './metrics.ts';
import type { NetworkMeter } from './network-meter.ts';

/** Interval between measurements, in milliseconds. */
export const MEASURE_INTERVAL_MS = 1_000;

/** Measures the load that the node reports to the registry. */
export class LoadMeter {
  readonly #pool: WorkerPool;
  readonly #network: NetworkMeter;
  readonly #metrics: NodeMetrics;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #measuring = false;
  /** Set after the first failure: a system that does not count packets will not start to. */
  #networkFailed = false;
  readonly #controlCpu = new CpuShare();

  constructor(pool: WorkerPool, network: NetworkMeter, metrics: NodeMetrics, logger: Logger) {
    this.#pool = pool;
    this.#network = network;
    this.#metrics = metrics;
    this.#logger = logger;
  }

  /** Begins to measure; the cost of the start does not count. */
  start(): void {
    this.#measure();
    this.#timer = every(MEASURE_INTERVAL_MS, () => {
      this.#measure();
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The last measurement: shares of one core, and of the limits on network traffic. */
  get load(): NodeLoad {
    return {
      workerCpu: Math.max(0, ...this.#pool.alive().map((worker) => worker.cpu)),
      controlCpu: this.#controlCpu.share,
      ...this.#network.load,
    };
  }

  #measure(): void {
    const { user, system } = process.cpuUsage();
    const atMs = performance.now();
    this.#controlCpu.measure((user + system) / 1_000, atMs);
    if (this.#measuring) return;
    this.#measuring = true;
    inBackground(() =>
      this.#measureNetwork(atMs).finally(() => {
        this.#measuring = false;
        for (const [kind, value] of Object.entries(this.load)) this.#metrics.load.set({ kind }, value);
      }),
    );
  }

  /** Measures network load; if that fails, only the other loads count. Never rejects. */
  async #measureNetwork(nowMs: number): Promise<void> {
    if (this.#networkFailed) return;
    try {
      await this.#network.measure(nowMs);
    } catch (thrown) {
      this.#networkFailed = true;
      this.#metrics.errors.inc({ where: 'network', code: toPlenaryError(thrown).code });
      this.#logger.warn({ err: thrown }, 'network load cannot be measured; it counts as zero');
    }
  }
}
