import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** A copy of the setup, whose own toolchain is beside it, and an apt-get that the test answers for. */
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'plenary-setup-'));
  cpSync(import.meta.dirname, join(root, 'deploy/local/setup'), { recursive: true });
  for (const folder of ['.toolchain/bin', 'bin']) mkdirSync(join(root, folder), { recursive: true });
  symlinkSync(process.execPath, join(root, '.toolchain/bin/node'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Has the step for the newer glibc run. @param apt - a shell script in place of apt-get @returns what the step says */
function prepareGlibc(apt: string): string {
  writeFileSync(join(root, 'bin/apt-get'), `#!/bin/sh\n${apt}\n`, { mode: 0o755 });
  const step = join(root, 'deploy/local/setup/step-node.mjs');
  const script = `import(${JSON.stringify(step)}).then(({ prepareGlibc }) => prepareGlibc()).then(console.log)`;
  return execFileSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(root, 'bin')}:${process.env['PATH'] ?? ''}` },
  });
}

const isMarked = (): boolean => existsSync(join(root, '.toolchain/state/glibc'));

describe.runIf(existsSync('/etc/apt'))('the newer glibc', () => {
  it.each([
    'echo "E: Failed to fetch … 404  Not Found"; exit 100',
    '[ "$*" != "${*%update}" ] && exit 0; echo "E: … File has unexpected size (1 != 2). Mirror sync in progress?"; exit 100',
    'echo "E: … Hash Sum mismatch"; exit 100',
  ])('[SU6] is tried again by the next run where a mirror did not give it: %s', (apt) => {
    expect(prepareGlibc(apt)).toContain('the next run tries again');
    expect(isMarked()).toBe(false);
  });

  it('is not fetched again at every start where it does not run', () => {
    expect(prepareGlibc('exit 0')).toContain('not to be had, so');
    expect(isMarked()).toBe(true);
  });
});
