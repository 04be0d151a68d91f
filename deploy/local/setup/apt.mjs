// @ts-check
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './errors.mjs';
import { osRelease } from './facts.mjs';
import { toolchain } from './paths.mjs';
import { findProgram, outputOf, runLogged } from './process.mjs';
import { verifiedSourceOptions, verifyDebianFiles } from './verify.mjs';

const aptEnvironment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };

/** Packages that bring a service, and their units: the programs are wanted, the services are not. */
const SERVICE_UNITS = ['redis-server.service', 'nginx.service', 'haproxy.service', 'caddy.service'];

/** dpkg's scripts ask this program whether they may start a service; 101 says no. */
const POLICY_FILE = '/usr/sbin/policy-rc.d';
const POLICY_MARK = "# Put here by Plenary's setup for the time of one installation.";

/**
 * Installs packages as root without starting or enabling the services they bring.
 * @param {string[]} packages
 * @param {string} log
 * @param {(line: string) => void} onDetail
 */
export async function installPackages(packages, log, onDetail) {
  await updateListsWhereNeeded(packages, log, onDetail);
  const enabledBefore = enabledUnits();
  onDetail(`installing ${packages.join(', ')}`);
  const removePolicy = denyServiceStarts();
  try {
    await runLogged(
      'apt-get',
      ['-o', 'DPkg::Lock::Timeout=300', 'install', '-y', '--no-install-recommends', ...packages],
      {
        log,
        env: aptEnvironment,
        failure: `The packages could not be installed. If the network or another apt run is the cause, try again; else install them by hand: apt-get install ${packages.join(' ')}`,
      },
    );
  } finally {
    removePolicy();
  }
  // A service enabled now would start at the next boot, long after anybody remembers why.
  const newlyEnabled = enabledUnits().filter((unit) => !enabledBefore.includes(unit));
  if (newlyEnabled.length > 0)
    await runLogged('systemctl', ['disable', ...newlyEnabled], { log, env: aptEnvironment });
}

/**
 * Of these packages the ones that dpkg does not have installed.
 * @param {string[]} packages
 */
export function notInstalled(packages) {
  const known = outputOf('/bin/sh', [
    '-c',
    'dpkg-query -W -f \'${Package} ${db:Status-Status}\\n\' "$@" 2>/dev/null; true',
    'sh',
    ...packages,
  ]);
  const installed = new Set(
    (known ?? '')
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return packages.filter((name) => !installed.has(name));
}

/** @param {string[]} packages @param {string} log @param {(line: string) => void} onDetail */
async function updateListsWhereNeeded(packages, log, onDetail) {
  // The lists may be missing altogether (a bare image) or name files that the mirror no longer has.
  const simulated = outputOf(
    'apt-get',
    ['install', '-y', '--no-install-recommends', '--print-uris', '-qq', ...packages],
    aptEnvironment,
  );
  if (simulated !== null && listsAreRecent()) return;
  onDetail('updating the package lists');
  await runLogged('apt-get', ['-o', 'DPkg::Lock::Timeout=300', 'update'], { log, env: aptEnvironment });
}

/** Lists older than a day may point at files that a security update has replaced. */
function listsAreRecent() {
  const folder = '/var/lib/apt/lists';
  const newest = existsSync(folder)
    ? outputOf('find', [folder, '-maxdepth', '1', '-name', '*InRelease', '-mtime', '-1', '-print', '-quit'])
    : null;
  return newest !== null && newest !== '';
}

function enabledUnits() {
  if (findProgram('systemctl') === null) return [];
  return SERVICE_UNITS.filter((unit) => outputOf('systemctl', ['is-enabled', unit]) === 'enabled');
}

/** @returns {() => void} takes the policy away again */
function denyServiceStarts() {
  if (existsSync(POLICY_FILE)) {
    // Somebody's own policy (containers have one that denies) stays; ours of a killed run is taken over.
    if (!readFileSync(POLICY_FILE, 'utf8').includes(POLICY_MARK)) return () => {};
  } else {
    writeFileSync(POLICY_FILE, `#!/bin/sh\n${POLICY_MARK}\nexit 101\n`, { mode: 0o755 });
  }
  return () => unlinkSync(POLICY_FILE);
}

/** Whatever the machine's own apt is told: what we fetch is compared with an index that Debian signed. */
const VERIFIED = [
  'APT::Get::AllowUnauthenticated=false',
  'Acquire::AllowInsecureRepositories=false',
  'Acquire::AllowWeakRepositories=false',
  'Acquire::AllowDowngradeToInsecureRepositories=false',
];

/**
 * An apt of our own beside the system's: its sources, lists and downloads are in `.toolchain/apt`, the system's
 * stay as they are. It only fetches, it never installs, so it needs no root.
 */
export class PrivateApt {
  #folder;
  #options;
  #log;

  /** What has no figure of ours, being of a later version than those that we have seen. @type {string[]} */
  unlisted = [];

  /**
   * @param {string} name a folder's name
   * @param {{ kind: 'deb' | 'deb-src', suite: string }[]} sources
   * @param {string} log
   */
  constructor(name, sources, log) {
    this.#log = log;
    this.#folder = join(toolchain, 'apt', name);
    for (const part of ['lists/partial', 'cache/archives/partial', 'files'])
      mkdirSync(join(this.#folder, part), { recursive: true });
    const mirror = findMirror();
    const list = sources.map(
      ({ kind, suite }) =>
        `${kind} ${verifiedSourceOptions(mirror.options)}${mirror.uri} ${suite} ${mirror.components}`,
    );
    const listFile = join(this.#folder, 'sources.list');
    writeFileSync(listFile, list.join('\n') + '\n');
    this.#options = [
      `Dir::Etc::sourcelist=${listFile}`,
      'Dir::Etc::sourceparts=-',
      `Dir::State::Lists=${join(this.#folder, 'lists')}`,
      `Dir::Cache=${join(this.#folder, 'cache')}`,
      'APT::Sandbox::User=root',
      ...VERIFIED,
      'Acquire::Languages=none',
      'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
    ].flatMap((option) => ['-o', option]);
  }

  /** Fetches the lists. */
  async update() {
    await this.#run(['update'], `The package lists of ${findMirror().uri} could not be fetched.`);
  }

  /**
   * Fetches binary packages and compares them with our figures.
   * @param {string[]} packages
   * @returns {Promise<string[]>} the .deb files
   * @throws {SetupError} where one differs
   */
  async download(packages) {
    await this.#run(['download', ...packages], `${packages.join(', ')} could not be fetched.`);
    const debs = readdirSync(this.files)
      .filter((name) => name.endsWith('.deb'))
      .map((name) => join(this.files, name));
    this.unlisted.push(...verifyDebianFiles(debs));
    return debs;
  }

  /**
   * Fetches a source package, compares it with our figures, and unpacks it with Debian's patches.
   * @param {string} name
   * @returns {Promise<string>} the folder
   */
  async source(name) {
    await this.#run(['source', '--download-only', name], `The source of ${name} could not be fetched.`);
    const fetched = readdirSync(this.files).map((file) => join(this.files, file));
    this.unlisted.push(...verifyDebianFiles(fetched));
    const description = fetched.find((file) => file.endsWith('.dsc'));
    if (description === undefined)
      throw new SetupError(`apt-get source ${name} left no .dsc file in ${this.files}.`);
    await runLogged('dpkg-source', ['-x', description], { log: this.#log, cwd: this.files });
    const folder = readdirSync(this.files, { withFileTypes: true }).find(
      (entry) => entry.isDirectory() && entry.name.startsWith(`${name}-`),
    );
    if (folder === undefined) throw new SetupError(`The source of ${name} left no folder in ${this.files}.`);
    return join(this.files, folder.name);
  }

  /** For what the setup says of a step: which files have apt's word alone. */
  get note() {
    return this.unlisted.length === 0
      ? ''
      : `; ${this.unlisted.join(', ')} by Debian's signature alone, being newer than our checksums`;
  }

  /** Where what was fetched lies. */
  get files() {
    return join(this.#folder, 'files');
  }

  /** Removes the lists and everything that was fetched. */
  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** @param {string[]} args @param {string} failure */
  async #run(args, failure) {
    await runLogged('apt-get', [...this.#options, ...args], {
      log: this.#log,
      cwd: this.files,
      env: aptEnvironment,
      failure,
    });
  }
}

/** The suite that this system is: `bookworm`. */
export function systemSuite() {
  return osRelease('VERSION_CODENAME');
}

/**
 * The mirror that the system's own apt uses for its main suite, so that a proxy or a local mirror is used here too.
 * @returns {{ uri: string, options: string, components: string }}
 */
function findMirror() {
  const suite = systemSuite();
  for (const text of sourceFiles('.sources')) {
    for (const stanza of text.split(/\n\s*\n/)) {
      const field = (/** @type {string} */ name) =>
        new RegExp(`^${name}:[ \\t]*(.+)$`, 'im').exec(stanza)?.[1]?.trim() ?? '';
      if (!field('Types').split(/\s+/).includes('deb') || !field('Suites').split(/\s+/).includes(suite))
        continue;
      const uri = field('URIs').split(/\s+/)[0];
      if (!uri) continue;
      const signedBy = field('Signed-By');
      return {
        uri,
        options: signedBy.startsWith('/') ? `[signed-by=${signedBy}] ` : '',
        components: field('Components') || 'main',
      };
    }
  }
  for (const text of sourceFiles('.list')) {
    for (const line of text.split('\n')) {
      const match = /^deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$/.exec(line.trim());
      if (match === null || match[3] !== suite) continue;
      return { uri: match[2] ?? '', options: match[1] ?? '', components: match[4] ?? 'main' };
    }
  }
  return { uri: 'http://deb.debian.org/debian', options: '', components: 'main' };
}

/** @param {'.list' | '.sources'} ending @returns {string[]} the files' contents */
function sourceFiles(ending) {
  const folder = '/etc/apt/sources.list.d';
  const files = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(ending))
        .map((name) => join(folder, name))
    : [];
  if (ending === '.list' && existsSync('/etc/apt/sources.list')) files.unshift('/etc/apt/sources.list');
  return files.map((file) => readFileSync(file, 'utf8').replace(/^#.*\n/gm, ''));
}
