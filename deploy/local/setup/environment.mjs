// @ts-check
import { delimiter, join } from 'node:path';
import { workerBinary } from './facts.mjs';
import { binFolder, root } from './paths.mjs';

/**
 * The environment of everything that runs inside the toolchain: our programs first on the PATH.
 * @param {{ worker?: boolean }} [options] `worker`: name the mediasoup worker in `MEDIASOUP_WORKER_BIN`
 * @returns {NodeJS.ProcessEnv}
 */
export function childEnvironment(options = {}) {
  const first = [binFolder, join(root, 'node_modules/.bin')];
  const rest = (process.env.PATH ?? '').split(delimiter).filter((folder) => !first.includes(folder));
  return {
    ...process.env,
    PATH: [...first, ...rest].join(delimiter),
    ...(options.worker === true ? { MEDIASOUP_WORKER_BIN: workerBinary() } : {}),
  };
}
