// @ts-check
import { existsSync, realpathSync, readdirSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join, relative } from 'node:path';
import { findProgram, outputOf, readText } from './process.mjs';
import { binFolder, consulBinary, nodeBinary, root, toolchain, workerBuildFolder } from './paths.mjs';
import { nodeFits, K6_VERSION, NODE_VERSION } from './versions.mjs';
import { readState } from './state.mjs';

/** Under which other names a program may be there. @type {Record<string, string[]>} */
const PROGRAM_NAMES = {
  'redis-server': ['redis-server', 'valkey-server'],
  chromium: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
  'firefox-esr': ['firefox-esr'],
  caddy: ['caddy'],
  nginx: ['nginx'],
  haproxy: ['haproxy'],
  faketime: ['faketime'],
  patchelf: ['patchelf'],
  consul: ['consul'],
};

/**
 * Looks at the machine. Takes some tens of milliseconds: it is done at every start.
 * @param {import('./plan.mjs').Purpose} purpose what is of no use to it is not looked for
 * @returns {import('./plan.mjs').Facts}
 */
export function gatherFacts(purpose) {
  const libc = findLibc();
  const hasApt = findProgram('apt-get') !== null && findProgram('dpkg') !== null;
  /** @type {Record<string, boolean>} */
  const programs = {};
  for (const [program, names] of Object.entries(PROGRAM_NAMES))
    programs[program] = findProgram(...names) !== null;
  programs['fonts-liberation'] = ['liberation', 'liberation2'].some((name) =>
    existsSync(`/usr/share/fonts/truetype/${name}`),
  );
  const k6 = purpose === 'test' ? k6Ready() : false;
  const workerBinary = process.env.MEDIASOUP_WORKER_BIN ?? '';
  return {
    platform: process.platform,
    arch: process.arch,
    libc,
    nodeVersion: process.versions.node,
    isRoot: process.getuid?.() === 0,
    hasApt,
    isDebian: osRelease('ID') === 'debian',
    programs,
    goVersion: purpose === 'test' && !k6 ? goVersion() : null,
    redisGiven: (process.env.REDIS_URL ?? '') !== '',
    workerGiven: workerBinary !== '',
    ready: {
      node: nodeReady(),
      dependencies: dependenciesInstalled(),
      worker: purpose === 'base' ? false : workerReady(libc),
      consul: purpose === 'test' ? programs['consul'] === true || consulReady() : false,
      k6,
      web: purpose === 'base' ? false : webReady(),
      nodeUsesOwnGlibc: readState('glibc') === glibcKey(),
    },
    hasWebApp: existsSync(join(root, 'web/index.html')) && findWebConfig() !== null,
  };
}

/** The web app's build configuration, or null while there is none. */
export function findWebConfig() {
  return (
    ['vite.config.ts', 'vite.config.js', 'vite.config.mjs']
      .map((name) => join(root, 'web', name))
      .find(existsSync) ?? null
  );
}

/** A value of /etc/os-release. @param {string} name */
export function osRelease(name) {
  const line = (readText('/etc/os-release') ?? '')
    .split('\n')
    .find((candidate) => candidate.startsWith(`${name}=`));
  return line === undefined ? '' : line.slice(name.length + 1).replace(/^"|"$/g, '');
}

/** @returns {import('./plan.mjs').Facts['libc']} */
function findLibc() {
  if (process.platform !== 'linux') return { kind: 'other', version: '' };
  // Asked of the machine, not of the Node that runs this: with our own Node that would be our own glibc.
  const system = outputOf('getconf', ['GNU_LIBC_VERSION']);
  const version = /glibc (\S+)/.exec(system ?? '')?.[1];
  return version === undefined ? { kind: 'musl', version: '' } : { kind: 'glibc', version };
}

/** Says which Node `.toolchain/bin/node` is made from; another one here means that it is to be made again. */
export function nodeKey() {
  return nodeFits(process.versions.node)
    ? `${process.execPath} ${process.versions.node}`
    : `npm ${NODE_VERSION}`;
}

/** The absolute path is written into the patched binary, so a moved repository needs a new one. */
export function glibcKey() {
  return `${readState('node') ?? ''} in ${toolchain}`;
}

function nodeReady() {
  if (!existsSync(nodeBinary)) return false;
  const made = readState('node');
  // When our own Node runs the setup (`npm run` inside `run`), it is the one that was made.
  // Through whatever link it was started: else it would be replaced by a link to itself.
  return made !== null && (made === nodeKey() || process.execPath === realpathSync(nodeBinary));
}

/**
 * Whether node_modules holds what the lockfile asks for. npm writes what it has installed into
 * `node_modules/.package-lock.json`; the two are compared, so that an `npm install` by hand counts too.
 */
export function dependenciesInstalled() {
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(join(root, 'node_modules/.package-lock.json'));
  if (wanted === null || installed === null) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.includes('node_modules/')) continue;
    const present = installed[path];
    if (present === undefined) {
      // Of packages for other platforms there is no trace in what was installed.
      if (entry.optional === true || entry.peer === true || entry.devOptional === true) continue;
      return false;
    }
    if (present.version !== entry.version || present.integrity !== entry.integrity) return false;
  }
  return true;
}

/**
 * @param {string} path
 * @returns {Record<string, { version?: string, integrity?: string, optional?: boolean, peer?: boolean, devOptional?: boolean }> | null}
 */
function readPackages(path) {
  const text = readText(path);
  return text === null ? null : JSON.parse(text).packages;
}

/** The version of mediasoup that the lockfile names. */
export function mediasoupVersion() {
  const version = readPackages(join(root, 'package-lock.json'))?.['node_modules/mediasoup']?.version;
  if (version === undefined) throw new Error('package-lock.json names no mediasoup');
  return version;
}

/**
 * Where the worker for this machine and recipe is, or will be.
 * @param {import('./plan.mjs').Facts['libc']} libc
 */
export function workerFolder(libc = findLibc()) {
  const recipe = hashFiles([workerBuildFolder]).slice(0, 8);
  const libcName = [libc.kind, libc.version].filter((part) => part !== '').join('-');
  return join(
    toolchain,
    `mediasoup-worker-${mediasoupVersion()}-${process.platform}-${process.arch}-${libcName}-${recipe}`,
  );
}

/** The worker to use: the given one, or ours. */
export function workerBinary() {
  return process.env.MEDIASOUP_WORKER_BIN || join(workerFolder(), 'mediasoup-worker');
}

/** @param {import('./plan.mjs').Facts['libc']} libc */
function workerReady(libc) {
  const given = process.env.MEDIASOUP_WORKER_BIN;
  if (given) return workerRuns(given);
  const folder = workerFolder(libc);
  return existsSync(join(folder, 'worker-build.json')) && workerRuns(join(folder, 'mediasoup-worker'));
}

/**
 * Whether a worker runs on this machine: without its parent's environment it says so and exits with 41.
 * @param {string} path
 */
export function workerRuns(path) {
  return (
    existsSync(path) &&
    outputOf('/bin/sh', ['-c', '"$0" >/dev/null 2>&1; [ $? = 41 ] && echo yes', path], {}) === 'yes'
  );
}

/** What is in the folder may be cut short: only the link, made last, says that it runs. */
function consulReady() {
  return existsSync(consulBinary);
}

function k6Ready() {
  const own = join(binFolder, 'k6');
  return existsSync(own) && readState('k6') === K6_VERSION;
}

function goVersion() {
  return (
    /go(\d[\d.]*)/.exec(outputOf('go', ['version'], { ...process.env, GOTOOLCHAIN: 'local' }) ?? '')?.[1] ??
    null
  );
}

/** Changes when anything that the web app is built from changes. */
export function webSourcesHash() {
  return hashFiles([join(root, 'web'), join(root, 'cluster/src'), join(root, 'package-lock.json')]);
}

function webReady() {
  return existsSync(join(root, 'web/dist/index.html')) && readState('web') === webSourcesHash();
}

/**
 * A hash of files and of everything in folders, by path and content; built files, packages and tests left out.
 * @param {string[]} paths
 */
export function hashFiles(paths) {
  const hash = createHash('sha256');
  for (const path of paths.flatMap(listFiles).sort()) {
    hash.update(`${relative(root, path)}\0${readText(path) ?? ''}\0`);
  }
  return hash.digest('hex');
}

/** @param {string} path @returns {string[]} */
function listFiles(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    if (['node_modules', 'dist', 'coverage'].includes(entry.name) || entry.name.startsWith('.')) return [];
    if (entry.name.includes('.test.')) return [];
    return entry.isDirectory() ? listFiles(join(path, entry.name)) : [join(path, entry.name)];
  });
}
