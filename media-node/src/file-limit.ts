import { readdir, readFile } from 'node:fs/promises';
import { FileWatch, RAISE_FILE_LIMIT, every, fileLimitOf } from '@plenary/cluster';
import type { Logger } from '@plenary/cluster';
import type { MediaNodeConfig } from './config.ts';
import type { MediaWorker } from './engine/media-worker.ts';
import type { PortPlan } from './engine/port-plan.ts';
import type { NodeMetrics } from './metrics.ts';

/** What a process needs beside what people and pipes take: links, the store, scrapers, channels to workers. */
const RESERVED_FILES = 128;
/** Of a person whose network lets out TCP alone: one for each direction. */
const SOCKETS_PER_PEER = 2;
/** How often the files of workers are counted, in milliseconds. */
const COUNT_EVERY_MS = 5_000;

/** What workers of a node need, each of which has the limit of the process by itself. */
export function filesNeeded(
  pipePorts: number,
  people: number,
): { readonly least: number; readonly most: number } {
  const least = RESERVED_FILES + pipePorts;
  return { least, most: least + people * SOCKETS_PER_PEER };
}

/** Why a node cannot run under the file limit of its process. */
export function fileFault(
  { sliceSource, workers }: Pick<MediaNodeConfig, 'sliceSource' | 'workers'>,
  limit = fileLimitOf(),
): string | undefined {
  const ports =
    sliceSource.kind === 'leased'
      ? sliceSource.size
      : sliceSource.portSlice.lastPort - sliceSource.portSlice.firstPort + 1;
  const { least } = filesNeeded(ports - workers, 0);
  if (limit === undefined || limit >= least) return undefined;
  return `the file limit of this process is ${limit}, and the ports of its slice need ${least}: raise it (${RAISE_FILE_LIMIT})`;
}

/** Says what the limit does not suffice for, and the first time that it is reached. */
export function watchFiles(
  { maxPeers }: Pick<MediaNodeConfig, 'maxPeers'>,
  { pipePorts }: PortPlan,
  logger: Pick<Logger, 'warn' | 'error'>,
): FileWatch {
  const limit = fileLimitOf();
  const { least, most } = filesNeeded(pipePorts.max - pipePorts.min + 1, maxPeers);
  if (limit !== undefined && limit < most) {
    const people = Math.max(0, Math.floor((limit - least) / SOCKETS_PER_PEER));
    logger.warn(
      { limit, wanted: most },
      `no more than ${people} people of a worker can have media over TCP: raise the file limit (${RAISE_FILE_LIMIT}) or lower PLENARY_MAX_PEERS`,
    );
  }
  return new FileWatch((reached) =>
    logger.error(
      { limit: reached },
      `media node has as many files open as it may, and takes no new connections: raise the file limit (${RAISE_FILE_LIMIT})`,
    ),
  );
}

/**
 * Counts the files of each worker, which has a limit of its own, and says once of each that has reached it: mediasoup's worker
 * takes no connection over TCP then and opens no pipe, and says nothing (SPEC AD16).
 */
export class WorkerFiles {
  readonly #timer: NodeJS.Timeout;
  readonly #told = new Set<number>();

  constructor(
    workers: () => readonly Pick<MediaWorker, 'index' | 'pid'>[],
    { workerFiles }: Pick<NodeMetrics, 'workerFiles'>,
    logger: Pick<Logger, 'error'>,
    filesOf = countFiles,
  ) {
    this.#timer = every(COUNT_EVERY_MS, async () => {
      for (const { index, pid } of workers()) {
        const files = await filesOf(pid);
        if (files === undefined) continue;
        workerFiles.set({ worker: String(index) }, files.open);
        if (files.open < files.limit || this.#told.has(pid)) continue;
        this.#told.add(pid);
        logger.error(
          { worker: index, pid, limit: files.limit },
          `worker has as many files open as it may: nobody else can have media over TCP there, and no pipe can be opened; raise the file limit (${RAISE_FILE_LIMIT})`,
        );
      }
    });
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** `undefined` where the kernel does not say, as outside Linux, or the process is gone. */
async function countFiles(
  pid: number,
): Promise<{ readonly open: number; readonly limit: number } | undefined> {
  try {
    const [open, limits] = await Promise.all([
      readdir(`/proc/${pid}/fd`),
      readFile(`/proc/${pid}/limits`, 'utf8'),
    ]);
    return { open: open.length, limit: fileLimitOf(limits) ?? Infinity };
  } catch {
    return undefined;
  }
}
