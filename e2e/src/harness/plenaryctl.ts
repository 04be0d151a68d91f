import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../deploy/plenaryctl/main.ts', import.meta.url));

/** The result of a run of plenaryctl. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs plenaryctl, and does not throw if it fails. */
export async function tryPlenaryctl(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env['PATH'], ...env } };
    execFile(process.execPath, [MAIN, ...args], options, (fault, stdout, stderr) => {
      resolve({ exitCode: fault === null ? 0 : Number(fault.code ?? 1), stdout, stderr });
    });
  });
}

/** Runs plenaryctl. @returns its output @throws Error if it fails */
export async function plenaryctl(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const { exitCode, stdout, stderr } = await tryPlenaryctl(args, env);
  if (exitCode !== 0) throw new Error(`plenaryctl ${args.join(' ')} exits with ${exitCode}: ${stderr}`);
  return stdout.trim();
}
