/**
 * Tells apart what the machine does to a test from what the cluster does: a process that answers nothing and does not work either was
 * not let run. Neither an attack nor a fault of ours does that; a busy machine, or one that stands still for seconds, does.
 */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { cpuSecondsOf } from '@plenary/loadtest/pages';

/** What takes a process a moment, as long as it runs. */
const STILL_AFTER_MS = 1_000;
const ASK_EVERY_MS = 200;
/** Who works for this part of the time in which it does not answer is kept from it by its work. */
const WORKING_SHARE = 0.5;
const MOST_ATTEMPTS = 4;

interface Process {
  readonly id: string;
  readonly pid: number | null;
  /** Asks it for something that it has at hand. */
  readonly ask: (signal: AbortSignal) => Promise<unknown>;
}

/** Somebody noticed something while processes stood still by no fault of their own: it shows nothing of the cluster. */
export class Disturbed extends Error {
  override readonly name = 'Disturbed';

  constructor(stoodStill: readonly string[], cause: unknown) {
    super(`The machine stood still meanwhile: ${stoodStill.join(', ')}.`, { cause });
  }
}

class StandstillWatch {
  readonly #stoodStill: string[] = [];
  readonly #stopping = new AbortController();
  readonly #watching: Promise<unknown>;

  constructor(processes: readonly Process[]) {
    this.#watching = Promise.all(processes.map((process) => this.#watch(process)));
  }

  /** @returns who stood still, and for how long */
  async stop(): Promise<readonly string[]> {
    this.#stopping.abort();
    await this.#watching;
    return this.#stoodStill;
  }

  async #watch(watched: Process): Promise<void> {
    const { signal } = this.#stopping;
    const quietly = (): undefined => undefined;
    while (!signal.aborted) {
      const { id, pid } = watched;
      const [beganMs, workedBefore] = [performance.now(), workedSeconds(pid)];
      // One that was ended or refuses is not one that stands still.
      await watched.ask(signal).catch(quietly);
      await delay(ASK_EVERY_MS, undefined, { signal }).catch(quietly);
      const tookMs = performance.now() - beganMs - ASK_EVERY_MS;
      const workedMs = 1_000 * (workedSeconds(pid) - workedBefore);
      if (tookMs > STILL_AFTER_MS && workedMs < WORKING_SHARE * tookMs)
        this.#stoodStill.push(`${id} for ${Math.round(tookMs)} ms`);
    }
  }
}

/** What the process and this one, which asks it, have worked. */
function workedSeconds(pid: number | null): number {
  const { user, system } = process.cpuUsage();
  try {
    return (user + system) / 1e6 + (pid === null ? 0 : cpuSecondsOf(pid));
  } catch {
    return 0; // It has just ended.
  }
}

function processesOf({ edges, mediaNodes, redis, redisUrl }: LocalCluster): readonly Process[] {
  const nodes = [...edges, ...mediaNodes].map((node) => ({
    id: node.id,
    get pid() {
      return node.pid;
    },
    ask: async (signal: AbortSignal) => (await fetch(`${node.operatorUrl}/health`, { signal })).text(),
  }));
  if (redis === null) return nodes;
  const store = {
    id: redis.id,
    get pid() {
      return redis.pid;
    },
    ask: (signal: AbortSignal) => pingRedis(redisUrl, signal),
  };
  return [...nodes, store];
}

function pingRedis(url: string, signal: AbortSignal): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), signal });
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', () => socket.destroy());
    socket.once('error', reject);
    socket.once('close', () => resolve());
  });
}

/**
 * @param isExcused - whether what the act threw may be the machine's doing at all; everything, unless told
 * @throws Disturbed where the act fails and processes of the cluster stood still meanwhile; else what the act throws
 */
export async function watchingStandstill<Result>(
  cluster: LocalCluster,
  act: () => Promise<Result>,
  isExcused: () => boolean = () => true,
): Promise<Result> {
  const watch = new StandstillWatch(processesOf(cluster));
  try {
    return await act();
  } catch (error) {
    const stoodStill = await watch.stop();
    throw stoodStill.length > 0 && isExcused() ? new Disturbed(stoodStill, error) : error;
  } finally {
    await watch.stop();
  }
}

/**
 * Begins anew what was disturbed by the machine, and by nothing else: it is to show what people notice of the cluster.
 * @param attempt - by {@link watchingStandstill}
 */
export async function untilUndisturbed<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (let number = 1; ; number += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Disturbed) || number === MOST_ATTEMPTS) throw error;
      console.warn(error.message, error.cause);
    }
  }
}
