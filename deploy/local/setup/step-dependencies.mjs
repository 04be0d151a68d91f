// @ts-check
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { whyUwsDoesNotLoad } from './step-node.mjs';
import { UWS_BINARIES } from './checksums.mjs';
import { SetupError } from './errors.mjs';
import { childEnvironment } from './environment.mjs';
import { nodeBinary, root } from './paths.mjs';
import { outputOf, readText, runLogged } from './process.mjs';
import { explainIntegrity, verifyFile } from './verify.mjs';

/**
 * Installs exactly what the lockfile says, without the packages' own install scripts: mediasoup's would
 * download or build a worker (which is a step of its own here), and the others ship their binaries.
 * @returns {Promise<string>} what was done
 */
export async function installDependencies() {
  if (!existsSync(join(root, 'package-lock.json'))) {
    throw new SetupError(
      'package-lock.json is missing. It belongs to the repository: get it back with `git checkout package-lock.json`.',
    );
  }
  await runLogged('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    log: 'dependencies',
    cwd: root,
    env: childEnvironment(),
    failure:
      'The npm packages could not be installed. If package.json was changed, run `npm install` to bring the lockfile up to date; if the network is the cause, try again.',
  }).catch((/** @type {unknown} */ error) => {
    throw explainIntegrity(error, 'A package from the npm registry');
  });
  verifyUws();
  const dataChannel = outputOf(nodeBinary, ['-e', `require('node-datachannel')`], {
    ...process.env,
    NODE_PATH: join(root, 'node_modules'),
  });
  const notes = [];
  const uws = whyUwsDoesNotLoad();
  if (uws !== null)
    notes.push(`uWebSockets.js does not load here (${uws}): the edges use Node's own HTTP server instead`);
  if (dataChannel === null)
    notes.push('node-datachannel does not load here: the load-test bots will not run');
  return ['installed', ...notes].join('; ');
}

/**
 * The lockfile holds the package's bytes. The binary in it is compared once more by itself, since it is the author's and
 * comes by way of somebody else: whoever takes another package or the author's own release gets the same or an error.
 */
function verifyUws() {
  const folder = join(root, 'node_modules/uWebSockets.js');
  const version = JSON.parse(readText(join(folder, 'package.json')) ?? '{}').version;
  const abi = outputOf(nodeBinary, ['-p', 'process.versions.modules']) ?? '';
  const name = `uws_${process.platform}_${process.arch}_${abi}.node`;
  if (!existsSync(join(folder, name))) return;
  try {
    verifyFile(join(folder, name), UWS_BINARIES[version]?.[name]);
  } catch (error) {
    // Else the next run would find everything installed, and only the binary missing.
    rmSync(join(root, 'node_modules/.package-lock.json'), { force: true });
    throw error;
  }
}
