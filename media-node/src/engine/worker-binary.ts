import { access, constants } from 'node:fs/promises';
import { version, workerBin as defaultWorkerBin } from 'mediasoup';

/**
 * Looks whether there is a worker to start, before mediasoup answers with a bare ENOENT.
 * @param workerBin - MEDIASOUP_WORKER_BIN; without it, the worker that mediasoup's own installation brings
 * @returns what is wrong and what to do, or undefined
 */
export async function workerBinaryFault(workerBin: string | undefined): Promise<string | undefined> {
  const path = workerBin ?? defaultWorkerBin;
  try {
    await access(path, constants.X_OK);
    return undefined;
  } catch {
    return `there is no mediasoup worker that can be run at ${path}. Name one in MEDIASOUP_WORKER_BIN; \`npm run setup\` obtains one and prints nothing more where that is done.`;
  }
}

/**
 * What is wrong where a worker cannot be started although its binary is there: one of another mediasoup, of another machine, or no
 * worker at all ends at once.
 */
export function workerStartFault(workerBin: string | undefined, fault: unknown): string {
  const told = fault instanceof Error && fault.cause instanceof Error ? fault.cause : fault;
  const why = told instanceof Error ? told.message : String(told);
  const limit = limitThatStopped(why);
  if (limit !== undefined) return `no mediasoup worker can be started (${why}): ${limit}`;
  return `the mediasoup worker ${workerBin ?? defaultWorkerBin} does not start (${why}). It has to be one of mediasoup ${version} that runs on this machine: name such in MEDIASOUP_WORKER_BIN; \`npm run setup\` obtains one.`;
}

/** What the system lacked to start a process, as its code says it. */
function limitThatStopped(why: string): string | undefined {
  if (/\bEAGAIN\b/.test(why))
    return 'the system allows no more processes here. raise the limit (--pids-limit, pids.max, TasksMax=, ulimit -u), or lower PLENARY_WORKERS.';
  if (/\bENOMEM\b/.test(why))
    return 'there is not enough memory for it: raise the limit, or lower PLENARY_WORKERS.';
  if (/\bE[MN]FILE\b/.test(why))
    return 'no more files may be open here: raise the limit (ulimit -n, LimitNOFILE=).';
  return undefined;
}

/** What an operator can make of how a worker ended, where that says more than that it did. */
export function adviceOnDeath(ending: string): string | undefined {
  if (!/signal:SIGKILL/.test(ending)) return undefined;
  return 'it was killed from outside, most likely for want of memory: see dmesg and the memory limit of the container or unit';
}
