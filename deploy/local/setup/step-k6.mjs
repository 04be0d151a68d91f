// @ts-check
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { PrivateApt, installPackages, systemSuite } from './apt.mjs';
import { K6_MODULES } from './checksums.mjs';
import { SetupError } from './errors.mjs';
import { binFolder, toolchain } from './paths.mjs';
import { runLogged } from './process.mjs';
import { writeState } from './state.mjs';
import { verifySum } from './verify.mjs';
import { DEBIAN_GO, K6_VERSION, MIN_GO_VERSION, compareVersions } from './versions.mjs';

/**
 * Builds k6 from its Go module. Go itself comes from Debian's backports where the machine has none that is able
 * to fetch the toolchain that k6 asks for; it is unpacked for the time of the build and not installed.
 * @param {import('./plan.mjs').Facts} facts
 * @param {import('./progress.mjs').Progress} progress
 * @returns {Promise<string>} what was done
 */
export async function prepareK6(facts, progress) {
  mkdirSync(binFolder, { recursive: true });
  const hasGo = facts.goVersion !== null && compareVersions(facts.goVersion, MIN_GO_VERSION) >= 0;
  const work = join(toolchain, 'k6-work');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  /** @type {NodeJS.ProcessEnv} */
  const environment = {
    ...process.env,
    // Nothing is left in the person's own Go folders; -modcacherw lets the folder be removed afterwards.
    GOPATH: join(work, 'gopath'),
    GOCACHE: join(work, 'gocache'),
    // -mod=readonly: what go.sum does not hold is an error, and nothing is added to it.
    GOFLAGS: '-modcacherw -trimpath -mod=readonly',
    // A toolchain that Go fetches for itself is compared with the signed checksum database, whatever the machine's settings say.
    GOTOOLCHAIN: 'auto',
    GOSUMDB: 'sum.golang.org',
    GONOSUMDB: '',
    GOPRIVATE: '',
    GOINSECURE: '',
    CGO_ENABLED: '0',
  };
  try {
    if (!hasGo) {
      progress.detail('fetching Go');
      const goRoot = await fetchGo(facts, work);
      environment.PATH = `${join(goRoot, 'bin')}${delimiter}${process.env.PATH ?? ''}`;
    }
    if (facts.isRoot && facts.hasApt && !existsSync('/etc/ssl/certs/ca-certificates.crt')) {
      await installPackages(['ca-certificates'], 'k6', (line) => progress.detail(line));
    }
    const source = await fetchModule(work, environment);
    progress.detail(`building ${K6_VERSION}`);
    // In the module's own folder: its go.sum, and not only the network, says what each dependency must be.
    const built = join(work, 'k6');
    await runLogged('go', ['build', '-ldflags=-s -w', '-o', built, '.'], {
      log: 'k6',
      cwd: source,
      env: environment,
      failure: 'k6 could not be built. If the network is the cause, try again.',
    });
    renameSync(built, join(binFolder, 'k6'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  writeState('k6', K6_VERSION);
  return `built ${K6_VERSION}`;
}

/**
 * Fetches the module's files and compares them with our figure.
 * @param {string} work
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Promise<string>} their folder
 */
async function fetchModule(work, environment) {
  let output = '';
  await runLogged('go', ['mod', 'download', '-json', `go.k6.io/k6@v${K6_VERSION}`], {
    log: 'k6',
    cwd: work,
    env: environment,
    failure: 'k6 could not be fetched. If the network is the cause, try again.',
    onLine: (line) => (output += line),
  });
  const field = (/** @type {string} */ name) => new RegExp(`"${name}": "([^"]*)"`).exec(output)?.[1] ?? '';
  verifySum(`k6 ${K6_VERSION}`, 'module hash', field('Sum'), K6_MODULES[K6_VERSION]);
  return field('Dir');
}

/**
 * @param {import('./plan.mjs').Facts} facts
 * @param {string} work
 * @returns {Promise<string>} GOROOT
 */
async function fetchGo(facts, work) {
  const source = facts.isDebian && facts.hasApt ? DEBIAN_GO[systemSuite()] : undefined;
  if (source === undefined) {
    throw new SetupError(
      `k6 (for the load tests) is built with Go ${MIN_GO_VERSION} or newer, and this machine ${facts.goVersion === null ? 'has none' : `has ${facts.goVersion}`}.\n` +
        `Install Go (https://go.dev/dl) so that \`go\` is on the PATH, then try again.`,
    );
  }
  const apt = new PrivateApt('go', [{ kind: 'deb', suite: source.suite }], 'k6');
  try {
    await apt.update();
    for (const deb of await apt.download([
      `${source.package}-go/${source.suite}`,
      `${source.package}-src/${source.suite}`,
    ])) {
      await runLogged('dpkg', ['-x', deb, join(work, 'go')], { log: 'k6' });
    }
  } finally {
    apt.remove();
  }
  return join(work, 'go/usr/lib', source.package.replace('golang', 'go'));
}
