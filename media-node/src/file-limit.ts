import { readdir, readFile } from 'node:fs/promises';
import { FileWatch, RAISE_FILE_LIMIT, every, fileLimitOf } from '@plenary/cluster';
import type { Logger } from '@plenary/cluster';
import type { MediaNodeConfig } from './config.ts';
import type { MediaWorker } from './engine/media-worker.ts';
import type { PortPlan } from './engine/port-plan.ts';
import type { NodeMetrics } from './metrics.ts';

/** Files that a process needs beside those of peers and pipes: links, the store, scrapers, channels to workers. */
const RESERVED_FILES = 128;
/** Sockets of a peer whose network allows only TCP: one for each direction. */
const SOCKETS_PER_PEER = 2;
/** Interval between counts of the workers' files, in milliseconds. */
const COUNT_INTERVAL_MS = 5_000;

/** Computes the files that one worker may need; each worker has the limit of the process to itself. */
export function filesNeeded(
  pipePorts: number,
  peers: number,
): { readonly least: number; readonly most: number } {
  const least = RESERVED_FILES + pipePorts;
  return { least, most: least + peers * SOCKETS_PER_PEER };
}

/** Explains why a node cannot run under the file limit of its process. */
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

/** Warns about a limit that does not suffice for all peers, and logs the first time that the limit is reached. */
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
 * Counts the files of each worker, which has a limit of its own, and logs once per worker that reaches it:
 * mediasoup's worker then accepts no TCP connection and opens no pipe, without any message (SPEC AD16).
 */
export class WorkerFiles {
  readonly #timer: NodeJS.Timeout;
  readonly #reported = new Set<number>();

  constructor(
    workers: () => readonly Pick<MediaWorker, 'index' | 'pid'>[],
    { workerFiles }: Pick<NodeMetrics, 'workerFiles'>,
    logger: Pick<Logger, 'error'>,
    filesOf = countFiles,
  ) {
    this.#timer = every(COUNT_INTERVAL_MS, async () => {
      for (const { index, pid } of workers()) {
        const files = await filesOf(pid);
        if (files === undefined) continue;
        workerFiles.set({ worker: String(index) }, files.open);
        if (files.open < files.limit || this.#reported.has(pid)) continue;
        this.#reported.add(pid);
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

/** Returns `undefined` when the kernel does not tell, as outside Linux, or the process has ended. */
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
