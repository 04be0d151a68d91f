// @ts-check
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readText } from './process.mjs';
import { toolchain } from './paths.mjs';

/**
 * What each step has made: a short text that says from what, so that a change there is seen. One file a step,
 * so that nothing is read, changed and written back.
 */
const folder = join(toolchain, 'state');

/** @param {string} step @returns {string | null} */
export function readState(step) {
  return readText(join(folder, step));
}

/** @param {string} step @param {string} value */
export function writeState(step, value) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, step);
  writeFileSync(`${path}.${process.pid}`, value);
  renameSync(`${path}.${process.pid}`, path);
}

/** @param {string} step */
export function clearState(step) {
  rmSync(join(folder, step), { force: true });
}
