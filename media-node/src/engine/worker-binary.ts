import { access, constants } from 'node:fs/promises';
import { version, workerBin as defaultWorkerBin } from 'mediasoup';

/**
 * Checks that the worker binary can be run, so that its absence does not appear as a bare ENOENT of mediasoup.
 * @param workerBin - MEDIASOUP_WORKER_BIN; without it, the worker of mediasoup's own installation
 * @returns the fault and its remedy, or undefined
 */
export async function workerBinaryFault(workerBin: string | undefined): Promise<string | undefined> {
  const path = workerBin ?? defaultWorkerBin;
  try {
    await access(path, constants.X_OK);
    return undefined;
  } catch {
    return `there is no executable mediasoup worker at ${path}. Name one in MEDIASOUP_WORKER_BIN; \`npm run setup\` installs one.`;
  }
}

/**
 * Explains why a worker cannot be started although its binary exists: a worker of another mediasoup version or
 * another machine, or another program, exits at once.
 */
export function workerStartFault(workerBin: string | undefined, fault: unknown): string {
  const cause = fault instanceof Error && fault.cause instanceof Error ? fault.cause : fault;
  const message = cause instanceof Error ? cause.message : String(cause);
  const limit = adviceOnLimit(message);
  if (limit !== undefined) return `no mediasoup worker can be started (${message}): ${limit}`;
  return `the mediasoup worker ${workerBin ?? defaultWorkerBin} does not start (${message}). It must be a worker of mediasoup ${version} built for this machine: name one in MEDIASOUP_WORKER_BIN; \`npm run setup\` installs one.`;
}

/** Names the system limit that stopped a process from starting, from its error code. */
function adviceOnLimit(message: string): string | undefined {
  if (/\bEAGAIN\b/.test(message))
    return 'the system allows no more processes here: raise the limit (--pids-limit, pids.max, TasksMax=, ulimit -u), or lower PLENARY_WORKERS.';
  if (/\bENOMEM\b/.test(message))
    return 'there is not enough memory for it: raise the limit, or lower PLENARY_WORKERS.';
  if (/\bE[MN]FILE\b/.test(message))
    return 'no more files may be open here: raise the limit (ulimit -n, LimitNOFILE=).';
  return undefined;
}

/** Returns advice on a worker's death if the way it ended suggests a cause. */
export function adviceOnDeath(ending: string): string | undefined {
  if (!/signal:SIGKILL/.test(ending)) return undefined;
  return 'it was killed from outside, most likely for want of memory: see dmesg and the memory limit of the container or unit';
}
