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
  return `the mediasoup worker ${workerBin ?? defaultWorkerBin} does not start (${why}). It has to be one of mediasoup ${version} that runs on this machine: name such in MEDIASOUP_WORKER_BIN; \`npm run setup\` obtains one.`;
}
