import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { ApiCredentials } from '../join-token.ts';
import { makePlan } from './plan.ts';
import type { JoinLoadPlan } from './plan.ts';

const SCRIPT = fileURLToPath(new URL('../k6/join.js', import.meta.url));
/** Where `npm run setup` installs k6. */
const OWN_K6 = fileURLToPath(new URL('../../../.toolchain/bin/k6', import.meta.url));
/** k6's exit code for a threshold that was not met. */
const THRESHOLD_EXIT = 99;

const SUMMARY = z.object({
  metrics: z.record(z.string(), z.object({ type: z.string(), values: z.record(z.string(), z.number()) })),
});

export interface JoinLoadResult {
  /** Whether every join and check succeeded. */
  readonly passed: boolean;
  readonly metrics: Readonly<
    Record<string, { readonly type: string; readonly values: Readonly<Record<string, number>> }>
  >;
  /** The standard error of k6 and the script. */
  readonly output: string;
}

/**
 * Runs the k6 script against the edges. @returns its figures
 * @throws Error if k6 is missing, an edge is not on this machine, or k6 itself fails
 */
export async function runK6(
  target: { readonly edgeUrls: readonly string[]; readonly credentials: ApiCredentials },
  shape: Pick<JoinLoadPlan, 'roomSize' | 'holdMs' | 'vus' | 'duration' | 'iterations'>,
): Promise<JoinLoadResult> {
  const folder = await mkdtemp(join(tmpdir(), 'plenary-k6-'));
  try {
    const summaryFile = join(folder, 'summary.json');
    const planFile = join(folder, 'plan.json');
    const plan = makePlan(target, shape, summaryFile);
    await writeFile(planFile, JSON.stringify(plan), { mode: 0o600 });
    const { exitCode, output } = await run([
      'run',
      '--quiet',
      '--no-usage-report',
      '--env',
      `PLENARY_LOAD_PLAN=${planFile}`,
      // k6's control API is off, because its fixed port could be taken.
      '--address',
      '',
      SCRIPT,
    ]);
    if (exitCode !== 0 && exitCode !== THRESHOLD_EXIT)
      throw new Error(`k6 ended with ${exitCode}:\n${output}`);
    const { metrics } = SUMMARY.parse(JSON.parse(await readFile(summaryFile, 'utf8')));
    return { passed: exitCode === 0, metrics, output };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(args: readonly string[]): Promise<{ exitCode: number; output: string }> {
  const k6 = existsSync(OWN_K6) ? OWN_K6 : 'k6';
  const child = spawn(k6, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output += chunk.toString('utf8');
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const stop = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', stop);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', (error) => {
        reject(new Error(`k6 does not start (${error.message}). Run \`npm run setup\`, which gets it.`));
      });
      child.once('close', (code) => {
        resolve({ exitCode: code ?? -1, output });
      });
    });
  } finally {
    process.off('exit', stop);
  }
}
