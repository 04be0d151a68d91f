// @ts-check
import { SetupError } from './errors.mjs';
import {
  CONSUL_SUITE,
  MIN_GO_VERSION,
  NODE_VERSION,
  UWS_MIN_GLIBC,
  compareVersions,
  nodeFits,
} from './versions.mjs';

/**
 * What the machine is to be made ready for; each one needs all that the ones before it need.
 * - `base`: our Node and the npm packages (checks, unit tests, code generation)
 * - `start`: also Redis, the mediasoup worker and the built web app
 * - `test`: also a browser, the proxies, Consul and k6
 * @typedef {'base' | 'start' | 'test'} Purpose
 */

/**
 * What the setup found out about the machine. Gathering is in `facts.mjs`, so that planning stays a pure function.
 * @typedef {object} Facts
 * @property {string} platform as `process.platform`
 * @property {string} arch as `process.arch`
 * @property {{ kind: 'glibc' | 'musl' | 'other', version: string }} libc
 * @property {string} nodeVersion the Node that runs the setup
 * @property {boolean} isRoot
 * @property {boolean} hasApt apt-get and dpkg are there
 * @property {boolean} isDebian Debian itself: its keyring can vouch for a newer Debian suite
 * @property {Record<string, boolean>} programs by the names in `SYSTEM_PROGRAMS`
 * @property {string | null} goVersion of the go command on the PATH
 * @property {boolean} redisGiven `REDIS_URL` names a Redis to use
 * @property {boolean} workerGiven `MEDIASOUP_WORKER_BIN` names a worker to use
 * @property {{ node: boolean, dependencies: boolean, worker: boolean, consul: boolean, k6: boolean, web: boolean, nodeUsesOwnGlibc: boolean }} ready
 * @property {boolean} hasWebApp there is something to build in `web/`
 */

/**
 * @typedef {{ id: 'packages', title: string, detail: string, packages: string[] }
 *   | { id: 'node' | 'dependencies' | 'worker' | 'consul' | 'k6' | 'web', title: string, detail: string }
 *   | { id: 'glibc', title: string, detail: string }} Step
 */

/**
 * Programs from the system's packages: which purpose needs them, and Debian's package for each.
 * @type {Record<string, { purpose: Purpose, package: string }>}
 */
export const SYSTEM_PROGRAMS = {
  'redis-server': { purpose: 'start', package: 'redis-server' },
  chromium: { purpose: 'test', package: 'chromium' },
  // Debian alone has its ESR as a package; elsewhere its tests are skipped, and say so.
  'firefox-esr': { purpose: 'test', package: 'firefox-esr' },
  caddy: { purpose: 'test', package: 'caddy' },
  nginx: { purpose: 'test', package: 'nginx-light' },
  haproxy: { purpose: 'test', package: 'haproxy' },
  faketime: { purpose: 'test', package: 'faketime' },
  // Not programs, but a page without fonts lays out differently and has boxes for letters.
  'fonts-liberation': { purpose: 'test', package: 'fonts-liberation' },
};

const PURPOSES = /** @type {const} */ (['base', 'start', 'test']);

/** @param {Purpose} purpose @param {Purpose} needed */
export function purposeIncludes(purpose, needed) {
  return PURPOSES.indexOf(purpose) >= PURPOSES.indexOf(needed);
}

/**
 * Which steps are still to do, in order. Nothing is to do where the machine has what is needed.
 * @param {Facts} facts
 * @param {Purpose} purpose
 * @returns {Step[]}
 * @throws {SetupError} where the machine cannot run Plenary, or lacks something that only root can install
 */
export function planSetup(facts, purpose) {
  refuseUnsupported(facts);
  /** @type {Step[]} */
  const steps = [];
  const packages = missingPackages(facts, purpose);
  if (packages.length > 0) {
    refuseWithoutApt(facts, packages);
    steps.push({
      id: 'packages',
      title: 'system packages',
      detail: `installing ${packages.join(', ')}`,
      packages,
    });
  }
  if (!facts.ready.node) {
    const fits = nodeFits(facts.nodeVersion);
    steps.push({
      id: 'node',
      title: 'Node',
      detail: fits
        ? `using this machine's ${facts.nodeVersion}`
        : `fetching ${NODE_VERSION} (this machine's is ${facts.nodeVersion})`,
    });
  }
  if (needsOwnGlibc(facts) && !facts.ready.nodeUsesOwnGlibc) {
    steps.push({
      id: 'glibc',
      title: 'glibc for uWebSockets.js',
      detail: `fetching one, for our Node alone (it needs ${UWS_MIN_GLIBC}, this machine has ${facts.libc.version})`,
    });
  }
  if (!facts.ready.dependencies) {
    steps.push({ id: 'dependencies', title: 'npm packages', detail: 'npm ci' });
  }
  if (purposeIncludes(purpose, 'start') && !facts.ready.worker) {
    steps.push({
      id: 'worker',
      title: 'mediasoup worker',
      detail: facts.workerGiven ? 'checking the one in MEDIASOUP_WORKER_BIN' : 'looking for a prebuilt one',
    });
  }
  if (purposeIncludes(purpose, 'test') && !facts.ready.consul) {
    refuseWithoutConsul(facts);
    steps.push({ id: 'consul', title: 'Consul', detail: `fetching Debian ${CONSUL_SUITE}'s` });
  }
  if (purposeIncludes(purpose, 'test') && !facts.ready.k6) {
    const ownGo = facts.goVersion !== null && compareVersions(facts.goVersion, MIN_GO_VERSION) >= 0;
    steps.push({ id: 'k6', title: 'k6', detail: ownGo ? 'building' : 'fetching Go, then building' });
  }
  if (purposeIncludes(purpose, 'start') && facts.hasWebApp && !facts.ready.web) {
    steps.push({ id: 'web', title: 'web app', detail: 'building' });
  }
  return steps;
}

/**
 * Whether uWebSockets.js needs a newer glibc than the machine's, and one can be had.
 * Elsewhere (musl, a distribution whose keys do not vouch for Debian's packages) the edges fall back to Node's
 * own HTTP server and say so.
 * @param {Facts} facts
 */
export function needsOwnGlibc(facts) {
  return (
    facts.platform === 'linux' &&
    facts.libc.kind === 'glibc' &&
    compareVersions(facts.libc.version, UWS_MIN_GLIBC) < 0 &&
    facts.isDebian &&
    facts.hasApt
  );
}

/**
 * @param {Facts} facts
 * @param {Purpose} purpose
 * @returns {string[]} Debian's names
 */
export function missingPackages(facts, purpose) {
  /** @type {string[]} */
  const packages = [];
  for (const [program, needed] of Object.entries(SYSTEM_PROGRAMS)) {
    if (!purposeIncludes(purpose, needed.purpose)) continue;
    if (program === 'redis-server' && facts.redisGiven && purpose === 'start') continue;
    if (program.startsWith('fonts-') && !facts.hasApt) continue;
    if (program === 'firefox-esr' && !(facts.isDebian && facts.hasApt)) continue;
    if (facts.programs[program] !== true) packages.push(needed.package);
  }
  if (needsOwnGlibc(facts) && !facts.ready.nodeUsesOwnGlibc && facts.programs['patchelf'] !== true)
    packages.push('patchelf');
  return packages;
}

/** @param {Facts} facts */
function refuseUnsupported(facts) {
  const what = `${facts.platform} on ${facts.arch}`;
  if (facts.platform !== 'linux' && facts.platform !== 'darwin') {
    throw new SetupError(
      `Plenary's servers run on Linux (x64 or arm64), not on ${what}.\n` +
        `Use a Linux machine or virtual machine with Debian 12 or newer or Ubuntu 24.04 or newer; on Windows, WSL 2 with one of these.`,
    );
  }
  if (facts.arch !== 'x64' && facts.arch !== 'arm64') {
    throw new SetupError(
      `Plenary's servers run on 64-bit Intel, AMD or ARM processors, not on ${what}: mediasoup and Node have no programs for it.\n` +
        `Use an x64 or arm64 machine.`,
    );
  }
}

/**
 * Debian's package needs glibc, and Debian's keyring to vouch for it.
 * @param {Facts} facts
 */
function refuseWithoutConsul(facts) {
  if (facts.isDebian && facts.hasApt && facts.libc.kind === 'glibc') return;
  throw new SetupError(
    `The tests start Consul agents, and this machine has no \`consul\` on the PATH and no Debian to take one from.\n` +
      `Install Consul (https://developer.hashicorp.com/consul/install), then try again.`,
  );
}

/**
 * @param {Facts} facts
 * @param {string[]} packages
 */
function refuseWithoutApt(facts, packages) {
  if (facts.hasApt && facts.isRoot) return;
  const list = packages.join(' ');
  if (facts.hasApt) {
    throw new SetupError(
      `Some programs are missing, and installing them takes root. Run this, then try again:\n\n` +
        `    sudo apt-get update && sudo apt-get install --no-install-recommends ${list}\n`,
    );
  }
  const hint =
    facts.platform === 'darwin'
      ? '\nWith Homebrew: brew install redis caddy nginx haproxy; and a Chromium or Chrome for the tests.'
      : '';
  throw new SetupError(
    `Some programs are missing, and this machine has no apt-get to install them with.\n` +
      `Install what your system calls these Debian packages, so that their programs are on the PATH, then try again: ${list}${hint}`,
  );
}
