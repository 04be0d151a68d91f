import { createWorker } from 'mediasoup';
import type { types } from 'mediasoup';
import {
  MEDIA_CODECS,
  PlenaryError,
  after,
  atMost,
  guardCallback,
  systemTimers,
  toPlenaryError,
} from '@plenary/cluster';
import { callMediasoup, noteCall } from './calls.ts';
import { CpuShare } from './cpu-share.ts';
import type { EngineContext } from './calls.ts';
import { boundIps, ownAddresses, udpSockets } from './listen-plan.ts';
import { RoomRouter, listenOn } from './room-router.ts';
import type { MediaAddresses } from '../media-address.ts';

/**
 * A worker that has not ended this long after it was asked to is killed, in milliseconds: a hanging worker does not
 * read the request.
 */
const END_DEADLINE_MS = 1_000;
/** How long a worker may take to answer pending requests before it is ended, in milliseconds. */
const ANSWERS_DEADLINE_MS = 500;

/** Returns the sockets of a worker. {@link offeredCandidates} chooses the addresses that are announced to clients. */
function listenInfosOf(addresses: MediaAddresses, own: readonly string[]): types.TransportListenInfo[] {
  const udp = addresses.flatMap((address) =>
    udpSockets(address, own).map(({ ip, isShared }): types.TransportListenInfo => {
      const { flags, ...bound } = listenOn({ family: address.family, listenIp: ip });
      return { protocol: 'udp', ...bound, flags: { ...flags, udpReusePort: isShared } };
    }),
  );
  // A TCP connection is answered from the address that it was opened to, whatever address the socket is bound on.
  const tcp = addresses.flatMap((address) =>
    boundIps(address, own).map((ip): types.TransportListenInfo => ({
      protocol: 'tcp',
      ...listenOn({ family: address.family, listenIp: ip }),
    })),
  );
  return [...udp, ...tcp];
}

/** One mediasoup worker process with its WebRtcServer on its port of the slice. */
export class MediaWorker {
  readonly index: number;
  readonly #context: EngineContext;
  readonly #worker: types.Worker;
  readonly #webRtcServer: types.WebRtcServer;
  readonly #cpu = new CpuShare();

  private constructor(
    index: number,
    context: EngineContext,
    worker: types.Worker,
    webRtcServer: types.WebRtcServer,
  ) {
    this.index = index;
    this.#context = context;
    this.#worker = worker;
    this.#webRtcServer = webRtcServer;
  }

  /**
   * Starts a worker and binds its port.
   * @param onDied - called once when the process dies unexpectedly
   * @throws PlenaryError `internal` when the process does not start or its port is taken
   */
  static async start(
    index: number,
    context: EngineContext,
    onDied: (error: Error) => void,
  ): Promise<MediaWorker> {
    const { metrics, workerBin, addresses } = context;
    const worker = await callMediasoup(metrics, 'createWorker', () =>
      withoutSignalListeners(() =>
        createWorker({ logLevel: 'warn', ...(workerBin === undefined ? {} : { workerBin }) }),
      ),
    );
    let started = false;
    let diedEarly: Error | undefined;
    worker.once(
      'died',
      guardCallback('child_process', (error) => {
        if (started) onDied(error);
        else diedEarly = error;
      }),
    );
    const port = context.ports.webRtcPorts[index];
    try {
      const webRtcServer = await callMediasoup(metrics, 'worker.createWebRtcServer', () =>
        worker.createWebRtcServer({
          listenInfos: listenInfosOf(addresses, ownAddresses()).map((info) => ({
            ...info,
            ...(port === undefined ? {} : { port }),
          })),
        }),
      );
      if (diedEarly !== undefined) throw diedEarly;
      started = true;
      metrics.workers.inc();
      worker.observer.once(
        'close',
        guardCallback('child_process', () => {
          metrics.workers.dec();
        }),
      );
      return new MediaWorker(index, context, worker, webRtcServer);
    } catch (error) {
      worker.close();
      throw error;
    }
  }

  get pid(): number {
    return this.#worker.pid;
  }

  /** CPU share of one core, averaged over the last seconds. */
  get cpu(): number {
    return this.#cpu.share;
  }

  /** @throws PlenaryError `media_lost` when the worker is closed or died */
  async createRouter(): Promise<RoomRouter> {
    const router = await callMediasoup(
      this.#context.metrics,
      'worker.createRouter',
      () => this.#worker.createRouter({ mediaCodecs: MEDIA_CODECS.map((codec) => ({ ...codec })) }),
      'media_lost',
    );
    if (this.#worker.closed) throw new PlenaryError('media_lost');
    return new RoomRouter(router, this.#webRtcServer, this.index, this.#context);
  }

  /** Measures the CPU since the last measurement. @throws PlenaryError `media_lost` */
  async measureCpu(): Promise<void> {
    const usage = await callMediasoup(
      this.#context.metrics,
      'worker.getResourceUsage',
      () => this.#worker.getResourceUsage(),
      'media_lost',
    );
    this.#cpu.measure(usage.ru_utime + usage.ru_stime, performance.now());
    this.#context.metrics.workerCpu.set({ worker: String(this.index) }, this.#cpu.share);
  }

  /** Kills the process, even if it hangs or is stopped; `onDied` is called after that. */
  kill(): void {
    if (this.#worker.subprocessClosed) return;
    try {
      process.kill(this.#worker.pid, 'SIGKILL');
    } catch (fault) {
      // The process has just ended; `onDied` is called for that too.
      if (!(fault instanceof Error && 'code' in fault && fault.code === 'ESRCH')) throw fault;
    }
  }

  /**
   * Ends the process; resolves when it has exited. A live worker first answers pending requests: one that still
   * writes when its channel closes reports a broken pipe, which would look like a fault.
   */
  async close(): Promise<void> {
    if (!this.#worker.closed) await atMost(systemTimers, ANSWERS_DEADLINE_MS, this.#pendingAnswered());
    await this.#end();
  }

  /** Resolves when the worker has answered all pending requests, or has died. Never rejects. */
  async #pendingAnswered(): Promise<void> {
    await this.measureCpu().catch((thrown: unknown) => {
      const { code } = toPlenaryError(thrown);
      if (code !== 'media_lost') this.#context.metrics.errors.inc({ where: 'worker.close', code });
    });
  }

  #end(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#worker.subprocessClosed) {
        resolve();
        return;
      }
      const overdue = after(END_DEADLINE_MS, () => {
        this.kill();
      });
      this.#worker.once(
        'subprocessclose',
        guardCallback('child_process', () => {
          clearTimeout(overdue);
          resolve();
        }),
      );
      if (this.#worker.closed) return;
      noteCall(this.#context.metrics, 'worker.close');
      this.#worker.close();
    });
  }
}

/**
 * Removes the signal listeners that mediasoup adds with each worker, which would close the worker on SIGTERM and
 * SIGINT. The node decides when workers close, because it notifies its peers first.
 */
function withoutSignalListeners<Result>(start: () => Result): Result {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const before = signals.map((signal) => new Set<unknown>(process.listeners(signal)));
  const result = start();
  signals.forEach((signal, index) => {
    for (const listener of process.listeners(signal)) {
      if (before[index]?.has(listener) !== true) process.removeListener(signal, listener);
    }
  });
  return result;
}
