import { guardCallback, systemClock, toPlenaryError, after } from '@plenary/cluster';
import type { EngineContext } from './calls.ts';
import { MediaWorker } from './media-worker.ts';
import { adviceOnDeath } from './worker-binary.ts';
import { WORKER_SILENT_MS, WorkerWatch } from './worker-watch.ts';

/** First wait before a dead worker is replaced, in milliseconds; doubled for each further death that follows soon. */
export const FIRST_RESTART_DELAY_MS = 100;
export const MAX_RESTART_DELAY_MS = 10_000;
/** A worker that ran for this long starts with the first wait again, in milliseconds. */
export const STEADY_AFTER_MS = 60_000;

/** Returns the wait before the next start. @param deathsInARow - deaths without a long run between them, from 1 */
export function restartDelayMs(deathsInARow: number): number {
  return Math.min(MAX_RESTART_DELAY_MS, FIRST_RESTART_DELAY_MS * 2 ** Math.max(0, deathsInARow - 1));
}

interface Slot {
  worker: MediaWorker | undefined;
  watch: WorkerWatch | undefined;
  /** The worker is being killed because it does not answer. */
  isHung: boolean;
  deathsInARow: number;
  startedAtMs: number;
  restartTimer: NodeJS.Timeout | undefined;
}

/**
 * The workers of a node, one per slot of the port plan. A dead worker is replaced on the same port (SPEC WK1), and a
 * hanging one is killed (WK9).
 */
export class WorkerPool {
  readonly #context: EngineContext;
  #onDied: (workerIndex: number) => void = () => undefined;
  readonly #slots: Slot[];
  #closed = false;

  constructor(context: EngineContext) {
    this.#context = context;
    this.#slots = context.ports.webRtcPorts.map(() => ({
      worker: undefined,
      watch: undefined,
      isHung: false,
      deathsInARow: 0,
      startedAtMs: 0,
      restartTimer: undefined,
    }));
  }

  /**
   * Starts every worker.
   * @param onDied - called at once when a worker has died, before its replacement starts
   * @throws PlenaryError when a worker does not start; the others are stopped again
   */
  async start(onDied: (workerIndex: number) => void = () => undefined): Promise<void> {
    this.#onDied = onDied;
    try {
      await Promise.all(this.#slots.map((_slot, index) => this.#startWorker(index)));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** The workers that are alive now. */
  alive(): readonly MediaWorker[] {
    return this.#slots.map((slot) => slot.worker).filter((worker) => worker !== undefined);
  }

  worker(index: number): MediaWorker | undefined {
    return this.#slots[index]?.worker;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const slot of this.#slots) {
      clearTimeout(slot.restartTimer);
      slot.watch?.stop();
    }
    const workers = this.alive();
    for (const slot of this.#slots) slot.worker = undefined;
    await Promise.all(workers.map((worker) => worker.close()));
  }

  async #startWorker(index: number): Promise<void> {
    const slot = this.#slots[index];
    if (slot === undefined) return;
    const worker = await MediaWorker.start(index, this.#context, (error) => {
      this.#died(index, error);
    });
    if (this.#closed) {
      await worker.close();
      return;
    }
    slot.worker = worker;
    slot.isHung = false;
    slot.startedAtMs = performance.now();
    slot.watch = new WorkerWatch({
      probe: () => worker.measureCpu(),
      clock: systemClock,
      onHung: () => {
        this.#hung(index, slot, worker);
      },
      onFault: (fault) => {
        this.#noteFault('worker.measure', fault);
      },
    });
    this.#context.logger.info({ worker: index, pid: worker.pid }, 'worker started');
  }

  /** A hanging worker does not read a request to end, so it is killed; its death causes the restart. */
  #hung(index: number, slot: Slot, worker: MediaWorker): void {
    slot.isHung = true;
    const { pid } = worker;
    this.#context.logger.warn(
      { worker: index, pid, silentMs: WORKER_SILENT_MS },
      'worker does not answer; killing it',
    );
    worker.kill();
  }

  #died(index: number, error: Error): void {
    const slot = this.#slots[index];
    if (slot === undefined || this.#closed) return;
    slot.worker = undefined;
    slot.watch?.stop();
    this.#context.metrics.workerDeaths.inc({ reason: slot.isHung ? 'hung' : 'died' });
    if (performance.now() - slot.startedAtMs > STEADY_AFTER_MS) slot.deathsInARow = 0;
    const level = slot.deathsInARow === 0 ? 'warn' : 'error';
    const toDo = slot.isHung ? undefined : adviceOnDeath(error.message);
    const detail = { worker: index, err: error, ...(toDo === undefined ? {} : { toDo }) };
    this.#context.logger[level](detail, 'worker died; starting another one');
    this.#onDied(index);
    this.#scheduleRestart(index, slot);
  }

  #scheduleRestart(index: number, slot: Slot): void {
    if (this.#closed) return;
    slot.deathsInARow += 1;
    slot.restartTimer = after(restartDelayMs(slot.deathsInARow), () => {
      this.#startWorker(index).catch(
        guardCallback('background', (error: unknown) => {
          this.#noteFault('worker.restart', error);
          this.#context.logger.error({ worker: index, err: error }, 'worker does not start; trying again');
          this.#scheduleRestart(index, slot);
        }),
      );
    });
  }

  #noteFault(where: string, thrown: unknown): void {
    this.#context.metrics.errors.inc({ where, code: toPlenaryError(thrown).code });
  }
}
