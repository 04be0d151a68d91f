#!/usr/bin/env node
// @ts-check
/**
 * Compares the uWebSockets.js that we use with its author's own release: `node deploy/local/compare-uws.mjs [FILE]`. FILE is
 * the author's archive (tar.gz) where GitHub cannot be reached from here. Exit code 0: each binary is the same.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { UWS_BINARIES } from './setup/checksums.mjs';
import { CHECKSUMS_FILE, fetchOverHttps, sha256Of } from './setup/verify.mjs';

const [version, binaries] = Object.entries(UWS_BINARIES)[0] ?? ['', {}];
const address = `https://github.com/uNetworking/uWebSockets.js/archive/refs/tags/v${version}.tar.gz`;
const work = mkdtempSync(join(tmpdir(), 'plenary-uws-'));
try {
  const archive = process.argv[2] ?? (await download());
  console.log(`The archive's SHA-256 is ${sha256Of(archive)}.`);
  execFileSync('tar', ['-xzf', archive, '-C', work, '--strip-components=1']);
  const present = readdirSync(work);
  let differ = 0;
  for (const [name, expected] of Object.entries(binaries)) {
    const actual = present.includes(name) ? sha256Of(join(work, name)) : 'missing';
    if (actual !== expected) differ++;
    console.log(
      `${name}: ${actual === expected ? 'the same' : `${actual}, and ${CHECKSUMS_FILE} says ${expected}`}`,
    );
  }
  process.exitCode = differ === 0 ? 0 : 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function download() {
  const response = await fetchOverHttps(address, 'The archive').catch((/** @type {Error} */ error) => error);
  if (response instanceof Error || !response.ok) {
    console.error(
      `${address} could not be fetched (${response instanceof Error ? response.message : response.status}).`,
    );
    console.error('Fetch it from elsewhere and name the file.');
    process.exit(2);
  }
  const path = join(work, 'release.tar.gz');
  writeFileSync(path, Buffer.from(await response.arrayBuffer()));
  return path;
}
