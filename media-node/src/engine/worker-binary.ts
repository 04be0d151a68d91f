import { access, constants } from 'node:fs/promises';
import { workerBin as defaultWorkerBin } from 'mediasoup';

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
