// @ts-check
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PrivateApt } from './apt.mjs';
import { NODE_ARCHIVES } from './checksums.mjs';
import { SetupError, TamperedError } from './errors.mjs';
import { glibcKey, nodeKey } from './facts.mjs';
import { binFolder, nodeBinary, root, toolchain } from './paths.mjs';
import { findProgram, outputOf, runLogged } from './process.mjs';
import { clearState, writeState } from './state.mjs';
import { CHECKSUMS_FILE, explainIntegrity, verifyFile } from './verify.mjs';
import { GLIBC_SUITE, NODE_VERSION, nodeFits } from './versions.mjs';

const nodeFolder = join(toolchain, 'node');

/**
 * Makes `.toolchain/bin/node`: a link to this machine's Node where that fits, else the binary of the npm package
 * that carries Node for this platform.
 * @returns {Promise<string>} what was done
 */
export async function prepareNode() {
  mkdirSync(binFolder, { recursive: true });
  clearState('glibc');
  if (nodeFits(process.versions.node)) {
    replaceNode((path) => symlinkSync(process.execPath, path));
    writeState('node', nodeKey());
    return `using this machine's ${process.versions.node}`;
  }
  if (findProgram('npm') === null) {
    throw new SetupError(
      `Plenary needs Node ${NODE_VERSION.split('.')[0]}; this machine has ${process.versions.node} and no npm to fetch another with.\n` +
        `Install npm (\`sudo apt-get install npm\`), or Node ${NODE_VERSION.split('.')[0]} itself, then try again.`,
    );
  }
  // The package `node` only asks npm in a script for the package of the platform; that one is asked for directly.
  const name = `node-${process.platform}-${process.arch}`;
  const expected = NODE_ARCHIVES[NODE_VERSION]?.[`${process.platform}-${process.arch}`];
  if (expected === undefined) {
    throw new SetupError(
      `Plenary needs Node ${NODE_VERSION.split('.')[0]}; this machine has ${process.versions.node}, and ${CHECKSUMS_FILE} has no checksum of Node ${NODE_VERSION} for ${process.platform}-${process.arch}.\n` +
        `Install Node ${NODE_VERSION.split('.')[0]} yourself (https://nodejs.org), then try again.`,
    );
  }
  rmSync(nodeFolder, { recursive: true, force: true });
  mkdirSync(nodeFolder, { recursive: true });
  await runLogged(
    'npm',
    ['pack', '--pack-destination', nodeFolder, '--ignore-scripts', `${name}@${NODE_VERSION}`],
    {
      log: 'node',
      cwd: toolchain,
      failure: `Node ${NODE_VERSION} could not be fetched from the npm registry. Check the network and try again, or install Node 24 yourself.`,
    },
  ).catch((/** @type {unknown} */ error) => {
    throw explainIntegrity(error, `Node ${NODE_VERSION}`);
  });
  const archive = join(nodeFolder, `${name}-${NODE_VERSION}.tgz`);
  verifyFile(archive, expected);
  await runLogged('tar', ['-xzf', archive, '-C', nodeFolder, 'package/bin/node'], { log: 'node' });
  replaceNode((path) => copyFileSync(join(nodeFolder, 'package/bin/node'), path));
  rmSync(nodeFolder, { recursive: true, force: true });
  const version = outputOf(nodeBinary, ['--version']);
  if (version !== `v${NODE_VERSION}`) {
    throw new SetupError(
      `The Node ${NODE_VERSION} from the npm registry does not run on this machine (it is at ${nodeBinary}). Install Node 24 yourself, then try again.`,
    );
  }
  writeState('node', nodeKey());
  return `fetched ${NODE_VERSION}`;
}

/**
 * Gives our Node a newer glibc than the machine's, for itself alone: the interpreter and the library path are
 * written into its binary, so nothing of it reaches the programs that it starts, as an environment variable would.
 * @returns {Promise<string>} what was done; where it fails, that the edges fall back to Node's own HTTP server
 */
export async function prepareGlibc() {
  const glibcFolder = join(toolchain, 'glibc');
  const apt = new PrivateApt('glibc', [{ kind: 'deb', suite: GLIBC_SUITE }], 'glibc');
  let isFetched = false;
  try {
    await apt.update();
    const debs = await apt.download([`libc6/${GLIBC_SUITE}`]);
    isFetched = true;
    rmSync(glibcFolder, { recursive: true, force: true });
    for (const deb of debs) await runLogged('dpkg', ['-x', deb, glibcFolder], { log: 'glibc' });
    const libraries = findLibraries(glibcFolder);
    // The link to a Node of the machine's own becomes a copy: that Node itself is not to be changed.
    const copy = `${nodeBinary}.patched`;
    copyFileSync(nodeBinary, copy);
    // --force-rpath: also the libraries that a library needs are looked for here first.
    const patch = [
      '--set-interpreter',
      libraries.interpreter,
      '--force-rpath',
      '--set-rpath',
      libraries.folder,
      copy,
    ];
    await runLogged('patchelf', patch, { log: 'glibc' });
    if (outputOf(copy, ['--version']) === null)
      throw new SetupError('Node does not start on the newer glibc.');
    renameSync(copy, nodeBinary);
    writeState('glibc', glibcKey());
    return `glibc of Debian ${GLIBC_SUITE} in .toolchain/glibc${apt.note}`;
  } catch (error) {
    if (!(error instanceof SetupError) || error instanceof TamperedError) throw error;
    // Not worth stopping for: Plenary runs without uWebSockets.js, only with fewer sockets per core.
    // A glibc that does not run here is not fetched again at every start (removing .toolchain does that); a mirror may serve the next time.
    if (isFetched) writeState('glibc', glibcKey());
    return `not to be had${isFetched ? '' : ' now'}, so the edges use Node's own HTTP server instead of uWebSockets.js${isFetched ? '' : '; the next run tries again'}. Why: ${error.message.split('\n')[0]} See .toolchain/logs/glibc.log`;
  } finally {
    apt.remove();
  }
}

/**
 * Whether our Node can load uWebSockets.js.
 * @returns {string | null} null if it can, else why not
 */
export function whyUwsDoesNotLoad() {
  const script = `try { require('uWebSockets.js'); console.log('ok') } catch (error) { console.log(String(error.message).split('\\n')[0]) }`;
  const answer = outputOf(nodeBinary, ['-e', script], {
    ...process.env,
    NODE_PATH: join(root, 'node_modules'),
  });
  return answer === 'ok' ? null : (answer ?? 'it ends the process');
}

/** @param {(path: string) => void} make */
function replaceNode(make) {
  const path = `${nodeBinary}.new`;
  rmSync(path, { force: true });
  make(path);
  renameSync(path, nodeBinary);
}

/** @param {string} folder of the unpacked package @returns {{ folder: string, interpreter: string }} */
function findLibraries(folder) {
  const places =
    process.arch === 'x64'
      ? { triplet: 'x86_64-linux-gnu', interpreter: 'ld-linux-x86-64.so.2' }
      : { triplet: 'aarch64-linux-gnu', interpreter: 'ld-linux-aarch64.so.1' };
  const libraries = join(folder, 'usr/lib', places.triplet);
  const interpreter = join(libraries, places.interpreter);
  if (!existsSync(interpreter))
    throw new SetupError(
      `Debian's libc6 package has no ${places.interpreter} where it was expected (${interpreter}).`,
    );
  return { folder: libraries, interpreter };
}
