// @ts-check
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { DEBIAN_FILES } from './checksums.mjs';
import { SetupError, TamperedError } from './errors.mjs';

/** Where the figures are, for messages. */
export const CHECKSUMS_FILE = 'deploy/local/setup/checksums.mjs';

/** @param {string} path @returns {string} in hexadecimal digits */
export function sha256Of(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/**
 * Compares a downloaded file with its figure, before anything unpacks or runs it. A file that differs is removed.
 * @param {string} path
 * @param {string | undefined} expected the SHA-256 of checksums.mjs, undefined where it has none
 * @throws {SetupError} where they differ or there is no figure
 */
export function verifyFile(path, expected) {
  const actual = sha256Of(path);
  if (actual === expected) return;
  rmSync(path, { force: true });
  refuse(basename(path), 'SHA-256', actual, expected);
}

/**
 * @param {string} what
 * @param {string} kind of hash
 * @param {string} actual
 * @param {string | undefined} expected
 * @throws {SetupError} where they differ or there is no figure
 */
export function verifySum(what, kind, actual, expected) {
  if (actual !== expected) refuse(what, kind, actual, expected);
}

/**
 * @param {string} what
 * @param {string} kind
 * @param {string} actual
 * @param {string | undefined} expected
 * @returns {never}
 */
function refuse(what, kind, actual, expected) {
  if (expected === undefined) {
    throw new SetupError(
      `${what} is not used, since ${CHECKSUMS_FILE} has no figure for it. Its ${kind} here is ${actual}.\n` +
        'Compare that with what its publisher says, then enter it there.',
    );
  }
  throw new TamperedError(
    `${what} is not what it should be and is not used: its ${kind} is ${actual}, and ${CHECKSUMS_FILE} says ${expected}.\n${WHO_CHANGED_IT}`,
  );
}

const WHO_CHANGED_IT =
  'Somebody on the way, a broken download, or the publisher has changed it. Try again on another network; if it stays so, report it (SECURITY.md).';

/**
 * In the words of {@link verifyFile}, what npm says where bytes differ from the hash that it was told; any other error as it is.
 * @param {unknown} error
 * @param {string} what npm was to fetch
 * @returns {unknown}
 */
export function explainIntegrity(error, what) {
  if (!(error instanceof SetupError) || !/\bEINTEGRITY\b/.test(error.message)) return error;
  return new TamperedError(
    `${what} is not what it should be and is not used: npm got other bytes than their hash says (EINTEGRITY).\n${WHO_CHANGED_IT}\n\n${error.message}`,
  );
}

/**
 * Compares what apt fetched with our figures. apt itself has compared it with the index that Debian signed.
 * @param {string[]} paths
 * @param {Readonly<Record<string, string>>} [figures]
 * @returns {string[]} names of files that have no figure: of a later version than the ones we have seen
 * @throws {SetupError} where a file differs
 */
export function verifyDebianFiles(paths, figures = DEBIAN_FILES) {
  const unlisted = [];
  for (const path of paths) {
    const name = basename(path);
    if (Object.hasOwn(figures, name)) verifyFile(path, figures[name]);
    else unlisted.push(name);
  }
  return unlisted;
}

/**
 * Of an apt source's options those that leave apt's own verification on.
 * @param {string} options such as `[arch=amd64 trusted=yes] `
 */
export function verifiedSourceOptions(options) {
  const kept = options
    .replace(/^\s*\[|\]\s*$/g, '')
    .split(/\s+/)
    .filter((option) => option !== '' && !/^(trusted|allow-[\w-]+|check-[\w-]+)=/i.test(option));
  return kept.length === 0 ? '' : `[${kept.join(' ')}] `;
}

/**
 * @param {string} address
 * @param {string} what it is for
 * @throws {SetupError} where it is anything but https
 */
export function requireHttps(address, what) {
  if (URL.canParse(address) && new URL(address).protocol === 'https:') return;
  throw new SetupError(`${what} is fetched over https only, not from ${address}.`);
}

const MAX_REDIRECTS = 5;

/**
 * Fetches a file over https, from first to last: fetch itself would follow a redirect to http.
 * @param {string} address
 * @param {string} what it is for
 * @param {{ signal?: AbortSignal }} [options]
 * @param {(address: string, options: RequestInit) => Promise<Response>} [ask]
 * @returns {Promise<Response>}
 * @throws {SetupError} where it, or where it leads to, is anything but https; otherwise as fetch does
 */
export async function fetchOverHttps(address, what, { signal } = {}, ask = fetch) {
  let next = address;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    requireHttps(next, what);
    const response = await ask(next, { redirect: 'manual', ...(signal === undefined ? {} : { signal }) });
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) return response;
    next = URL.parse(location, next)?.href ?? location;
  }
  throw new SetupError(`${what} is not fetched: ${address} leads from one place to another and never ends.`);
}
