import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeLock } from './lock.mjs';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plenary-lock-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const neverWaits = (pid: number) => {
  throw new Error(`waits for ${pid}`);
};

describe('takeLock', () => {
  it('is given back', async () => {
    const path = join(folder, 'lock');
    const release = await takeLock(path, neverWaits);
    expect(existsSync(path)).toBe(true);
    release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('takes over the lock of a process that is gone', async () => {
    const gone = spawnSync('true').pid;
    writeFileSync(join(folder, 'lock'), String(gone));
    const release = await takeLock(join(folder, 'lock'), neverWaits);
    release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('waits for a living process and says for which', async () => {
    const path = join(folder, 'lock');
    writeFileSync(path, String(process.ppid));
    const waitedFor: number[] = [];
    const taking = takeLock(path, (pid) => {
      waitedFor.push(pid);
      rmSync(path);
    });
    (await taking)();
    expect(waitedFor).toEqual([process.ppid]);
  });
});
