// @ts-check
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { release } from 'node:os';
import { basename, join } from 'node:path';
import { PrivateApt, installPackages, notInstalled, systemSuite } from './apt.mjs';
import { WORKER_ARCHIVES } from './checksums.mjs';
import { SetupError } from './errors.mjs';
import { mediasoupVersion, workerFolder, workerRuns } from './facts.mjs';
import { root, toolchain, workerBuildFolder } from './paths.mjs';
import { findProgram, outputOf, runLogged } from './process.mjs';
import { CHECKSUMS_FILE, fetchOverHttps, verifyFile } from './verify.mjs';
import { BUILD_PACKAGES, LIBSRTP_OPTIONS, MESON_RELEASE, PATCHES, SHIMS } from './worker-build/recipe.mjs';

const LOG = 'mediasoup-worker';

/** A site that does not answer must not hold up the setup: a build takes minutes, but it is certain. */
const DOWNLOAD_TIMEOUT_MS = 8_000;

/**
 * Obtains the mediasoup worker: the given one, mediasoup's own prebuilt, or one built here.
 * @param {import('./plan.mjs').Facts} facts
 * @param {import('./progress.mjs').Progress} progress
 * @returns {Promise<string>} what was done
 */
export async function prepareWorker(facts, progress) {
  if (facts.workerGiven) return checkGivenWorker();
  const target = workerFolder(facts.libc);
  const work = join(toolchain, 'worker-work');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  progress.detail('looking for a prebuilt one');
  const why = await downloadPrebuilt(work);
  if (why === null) {
    install(work, target, {
      source: "mediasoup's prebuilt",
      srtp: 'libsrtp 3 with OpenSSL (bundled)',
      tls: 'OpenSSL (bundled)',
      compiler: 'unknown',
    });
    rmSync(work, { recursive: true, force: true });
    return "fetched mediasoup's prebuilt";
  }
  progress.detail(`no prebuilt one (${why}); building from source`);
  await ensureBuildPackages(facts, progress);
  const libsrtp = await buildLibsrtp(work, progress);
  await buildWorker(work, progress);
  install(work, target, {
    source: 'built from the npm package',
    srtp: `libsrtp ${libsrtp} with OpenSSL (static)`,
    tls: `OpenSSL ${outputOf('pkg-config', ['--modversion', 'libcrypto']) ?? 'of unknown version'} (system)`,
    compiler: `${(outputOf('g++', ['--version']) ?? 'g++').split('\n')[0]}, ${MESON_RELEASE.join(' ')}`,
  });
  rmSync(work, { recursive: true, force: true });
  return 'built from source';
}

function checkGivenWorker() {
  const path = process.env.MEDIASOUP_WORKER_BIN ?? '';
  if (workerRuns(path)) return `using ${path}`;
  throw new SetupError(
    `MEDIASOUP_WORKER_BIN names ${path}, and that is no mediasoup worker that runs on this machine.\n` +
      `Correct it, or unset it to have the setup fetch or build a worker.`,
  );
}

/**
 * The same download as mediasoup's own install script tries, which compares nothing: here only what has a figure in
 * checksums.mjs is fetched at all.
 * @param {string} work the worker lands in here
 * @returns {Promise<string | null>} null when a worker that runs here was fetched, else why not
 */
async function downloadPrebuilt(work) {
  if (process.env.MEDIASOUP_SKIP_WORKER_PREBUILT_DOWNLOAD)
    return 'switched off by MEDIASOUP_SKIP_WORKER_PREBUILT_DOWNLOAD';
  const version = mediasoupVersion();
  const kernel = process.platform === 'linux' ? `-kernel${release().split('.')[0]}` : '';
  const name = `mediasoup-worker-${version}-${process.platform}-${process.arch}${kernel}.tgz`;
  if (!Object.hasOwn(WORKER_ARCHIVES, name)) return `${CHECKSUMS_FILE} has no checksum of ${name}`;
  const base =
    process.env.MEDIASOUP_WORKER_PREBUILT_DOWNLOAD_BASE_URL ??
    'https://github.com/versatica/mediasoup/releases/download';
  const what = "mediasoup's prebuilt worker";
  const archive = join(work, name);
  try {
    const response = await fetchOverHttps(`${base}/${version}/${name}`, what, {
      signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS),
    });
    if (!response.ok) return `the site answered ${response.status}`;
    writeFileSync(archive, Buffer.from(await response.arrayBuffer()));
  } catch (error) {
    if (error instanceof SetupError) throw error;
    return error instanceof Error && error.name === 'TimeoutError'
      ? 'the site does not answer'
      : 'the site cannot be reached';
  }
  // A wrong file stops the setup instead of being built around: somebody should know.
  verifyFile(archive, WORKER_ARCHIVES[name]);
  try {
    await runLogged('tar', ['-xzf', archive, '-C', work], { log: LOG });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return 'what the site sent is no archive';
  }
  const binary = join(work, 'mediasoup-worker');
  if (existsSync(binary)) chmodSync(binary, 0o755);
  return workerRuns(binary) ? null : 'the one for this platform does not run on this machine';
}

/** @param {import('./plan.mjs').Facts} facts @param {import('./progress.mjs').Progress} progress */
async function ensureBuildPackages(facts, progress) {
  if (!facts.hasApt) {
    const missing = ['meson', 'ninja', 'pkg-config', 'g++', 'flatc'].filter(
      (name) => findProgram(name) === null,
    );
    throw new SetupError(
      `mediasoup has no prebuilt worker that can be fetched for this machine, and building one here is only known to work with Debian's packages` +
        `${missing.length > 0 ? ` (missing: ${missing.join(', ')})` : ''}.\n` +
        `Build the worker of mediasoup ${mediasoupVersion()} as its documentation says, and name the binary in MEDIASOUP_WORKER_BIN.`,
    );
  }
  const missing = notInstalled(BUILD_PACKAGES);
  if (missing.length === 0) return;
  if (!facts.isRoot) {
    throw new SetupError(
      `mediasoup has no prebuilt worker that can be fetched for this machine, and building one takes packages that only root can install. Run this, then try again:\n\n` +
        `    sudo apt-get update && sudo apt-get install --no-install-recommends ${missing.join(' ')}\n`,
    );
  }
  await installPackages(missing, LOG, (line) => progress.detail(`building from source: ${line}`));
}

/**
 * Builds libsrtp 2 with OpenSSL, static, from Debian's source package.
 * @param {string} work
 * @param {import('./progress.mjs').Progress} progress
 * @returns {Promise<string>} its version
 */
async function buildLibsrtp(work, progress) {
  progress.detail('building from source: libsrtp');
  const apt = new PrivateApt('libsrtp', [{ kind: 'deb-src', suite: systemSuite() }], LOG);
  try {
    await apt.update();
    const source = await apt.source('libsrtp2');
    const build = join(work, 'libsrtp-build');
    const prefix = join(work, 'libsrtp');
    await runLogged(
      'meson',
      ['setup', build, source, `--prefix=${prefix}`, ...MESON_RELEASE, ...LIBSRTP_OPTIONS],
      { log: LOG },
    );
    await runLogged('ninja', ['-C', build, 'install'], { log: LOG });
    return basename(source).replace(/^libsrtp2-/, '');
  } finally {
    apt.remove();
  }
}

/** @param {string} work @param {import('./progress.mjs').Progress} progress */
async function buildWorker(work, progress) {
  const source = join(work, 'worker');
  cpSync(join(root, 'node_modules/mediasoup/worker'), source, { recursive: true });
  for (const [wrap, shim] of Object.entries(SHIMS)) {
    const directory = /^directory\s*=\s*(\S+)/m.exec(
      readFileSync(join(source, 'subprojects', `${wrap}.wrap`), 'utf8'),
    )?.[1];
    if (directory === undefined)
      throw new SetupError(
        `${wrap}.wrap of mediasoup's worker names no directory: the recipe in ${workerBuildFolder} needs a look.`,
      );
    cpSync(join(workerBuildFolder, 'subprojects', shim), join(source, 'subprojects', directory), {
      recursive: true,
    });
    if (wrap === 'libsrtp3')
      cpSync(join(work, 'libsrtp'), join(source, 'subprojects', directory, 'prefix'), { recursive: true });
  }
  for (const patch of PATCHES) applyPatch(join(source, patch.file), patch);
  const build = join(work, 'build');
  // Compiling is the long part: its progress ("[31/260]") is what the person waiting wants to see.
  const onLine = (/** @type {string} */ line) => {
    const count = /^\[(\d+\/\d+)\]/.exec(line)?.[1];
    if (count !== undefined) progress.detail(`building from source ${count}`);
  };
  const failure =
    'The mediasoup worker could not be built. Please report this with the log, or name a worker of your own in MEDIASOUP_WORKER_BIN.';
  await runLogged('meson', ['setup', build, source, ...MESON_RELEASE], { log: LOG, failure });
  // The generated headers first: a part of the worker uses them without saying so in its build file.
  for (const target of ['flatbuffers-generator', 'mediasoup-worker']) {
    await runLogged('meson', ['compile', '-C', build, target], { log: LOG, failure, onLine });
  }
  await runLogged('strip', ['-o', join(work, 'mediasoup-worker'), join(build, 'mediasoup-worker')], {
    log: LOG,
    failure,
  });
  if (!workerRuns(join(work, 'mediasoup-worker')))
    throw new SetupError(`The mediasoup worker was built but does not run. ${failure}`);
}

/** @param {string} path @param {{ from: string, to: string, why: string }} patch */
function applyPatch(path, patch) {
  const parts = readFileSync(path, 'utf8').split(patch.from);
  if (parts.length !== 2) {
    throw new SetupError(
      `The worker's ${basename(path)} has \`${patch.from}\` ${parts.length - 1} times instead of once, so this change cannot be made: ${patch.why}\n` +
        `mediasoup has changed; adapt PATCHES in ${join(workerBuildFolder, 'recipe.mjs')}.`,
    );
  }
  writeFileSync(path, parts.join(patch.to));
}

/**
 * Puts the finished worker in its place. What it was built against goes beside it: benchmarks print it, since the
 * SRTP library alone can halve a worker's capacity.
 * @param {string} work
 * @param {string} target
 * @param {{ source: string, srtp: string, tls: string, compiler: string }} made
 */
function install(work, target, made) {
  const fresh = join(work, 'install');
  mkdirSync(fresh);
  cpSync(join(work, 'mediasoup-worker'), join(fresh, 'mediasoup-worker'));
  const about = {
    mediasoup: mediasoupVersion(),
    platform: process.platform,
    arch: process.arch,
    ...made,
    madeAt: new Date().toISOString(),
  };
  writeFileSync(join(fresh, 'worker-build.json'), JSON.stringify(about, null, 2) + '\n');
  rmSync(target, { recursive: true, force: true });
  renameSync(fresh, target);
}
