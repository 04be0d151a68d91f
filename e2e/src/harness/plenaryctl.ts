import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MAIN = fileURLToPath(new URL('../../../deploy/plenaryctl/main.ts', import.meta.url));
const run = promisify(execFile);

/** Runs the operators' program. @returns what it prints @throws Error when it does not succeed */
export async function plenaryctl(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const { stdout } = await run(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'], ...env },
  });
  return stdout.trim();
}
