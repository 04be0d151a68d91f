// @ts-check
/**
 * What the setup installs, and from which version on something that is already there will do.
 * Everything that a security update or an upgrade has to touch is in this file and in package.json.
 */

/** The Node that everything runs under where the machine's own does not fit. */
export const NODE_VERSION = '24.21.0';

/**
 * Node majors that will do as they are: TypeScript runs without a build from 24 on, and uWebSockets.js ships
 * binaries for exactly these. A newer major than these gets our Node, like an older one.
 */
export const NODE_MAJORS = [24, 25];

/** uWebSockets.js' prebuilt binaries for Linux are linked against this glibc. */
export const UWS_MIN_GLIBC = '2.38';

/** The Debian suite that a newer glibc is taken from where the machine's is too old. */
export const GLIBC_SUITE = 'trixie';

/**
 * The Debian suite that Consul is taken from where the machine has none: the last one that has it. Its package unpacks
 * and runs on later suites as it is.
 */
export const CONSUL_SUITE = 'bullseye';

/** The load generator, built from its Go module. */
export const K6_VERSION = '1.8.1';

/** From Go 1.21 on, the go command fetches the toolchain that a module asks for by itself. */
export const MIN_GO_VERSION = '1.21';

/**
 * Where a Debian without a fitting Go gets one from, by its own suite (Debian 12's own 1.19 cannot fetch a toolchain).
 * @type {Record<string, { suite: string, package: string }>}
 */
export const DEBIAN_GO = {
  bookworm: { suite: 'bookworm-backports', package: 'golang-1.23' },
  trixie: { suite: 'trixie', package: 'golang-1.24' },
};

/**
 * Compares dotted version numbers part by part; a missing part counts as 0, anything behind a `-`, `+` or `~`
 * is left out.
 * @param {string} left
 * @param {string} right
 * @returns {number} below 0, 0 or above 0, as for `Array.sort`
 */
export function compareVersions(left, right) {
  const parts = (/** @type {string} */ version) =>
    (version.replace(/^[^\d]*/, '').split(/[-+~]/)[0] ?? '')
      .split('.')
      .map((part) => Number.parseInt(part, 10) || 0);
  const leftParts = parts(left);
  const rightParts = parts(right);
  for (let index = 0; index < Math.max(leftParts.length, rightParts.length); index++) {
    const difference = (leftParts[index] ?? 0) - (rightParts[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Whether a Node of this version can run Plenary as it is.
 * @param {string} version such as `24.21.0` or `v24.21.0`
 */
export function nodeFits(version) {
  return NODE_MAJORS.includes(Number.parseInt(version.replace(/^v/, ''), 10));
}
