// @ts-check
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

/** The repository's root folder. */
export const root = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

/** Everything that the setup fetches or builds is in here; removing the folder undoes it. */
export const toolchain = join(root, '.toolchain');

/** Programs of ours, first in the PATH of everything that we start. */
export const binFolder = join(toolchain, 'bin');

/** The Node that everything runs under. */
export const nodeBinary = join(binFolder, 'node');

/** Consul, where the machine has none of its own. */
export const consulBinary = join(binFolder, 'consul');

/** One full log for each step. */
export const logFolder = join(toolchain, 'logs');

/** The recipe of the mediasoup worker's build. */
export const workerBuildFolder = join(root, 'deploy/local/setup/worker-build');
