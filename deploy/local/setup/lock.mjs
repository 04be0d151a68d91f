// @ts-check
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 250;

/**
 * Takes a lock file; waits while another living process holds it. A lock whose process is gone is taken over.
 * @param {string} path
 * @param {(pid: number) => void} onWait told once, when another process holds the lock
 * @returns {Promise<() => void>} gives the lock back
 */
export async function takeLock(path, onWait) {
  mkdirSync(dirname(path), { recursive: true });
  const own = `${path}.${process.pid}`;
  let told = false;
  for (;;) {
    writeFileSync(own, String(process.pid));
    try {
      // A link appears at once with its content, so nobody ever reads a lock without a pid in it.
      linkSync(own, path);
      rmSync(own);
      return () => {
        if (holder(path) === process.pid) rmSync(path, { force: true });
      };
    } catch (error) {
      rmSync(own, { force: true });
      if (!isCode(error, 'EEXIST')) throw error;
    }
    const pid = holder(path);
    if (pid === null) continue;
    if (!isAlive(pid)) {
      removeStale(path, pid);
      continue;
    }
    if (!told) onWait(pid);
    told = true;
    await sleep(POLL_MS);
  }
}

/** @param {string} path */
function holder(path) {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || null;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/**
 * Moves the dead process's lock away under a name of our own first: of two that find it dead, one wins.
 * @param {string} path
 * @param {number} pid
 */
function removeStale(path, pid) {
  if (holder(path) !== pid) return;
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  rmSync(aside, { force: true });
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, 'EPERM');
  }
}

/** @param {unknown} error @param {string} code */
function isCode(error, code) {
  return error instanceof Error && 'code' in error && error.code === code;
}
