/**
 * `npm test`: the check and all tests, from unit to Chromium. Ends with a line of the form `N passed, N failed`, alone
 * on its line, and with exit code 1 if anything failed.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { addCounts, closingLine, countTests } from './checks/vitest-report.ts';
import type { TestCounts } from './checks/vitest-report.ts';
import { findMarked, waitUntilGone } from './cluster/leftovers.ts';
import { repositoryRoot } from './cluster/options.ts';
import { formatDuration } from './setup/progress.mjs';

const PROJECTS = ['unit', 'contract', 'integration', 'e2e', 'rows'] as const;

/** Everything that the tests start inherits this variable, so that what stays behind is found, whatever it is. */
const TEST_MARK = 'TEST_RUN_ID';

/** How long after the last test its processes may take to end. */
const LEFTOVER_TIMEOUT_MS = 20_000;

const USAGE = `Runs the check and all tests.

Usage: npm test -- [options]

  --project P   only this part: check, unit, contract, integration, e2e or rows; may be given several times
  --help        this text

One file or one test: npx vitest run <file> -t <name> (inside \`node deploy/local/bootstrap.mjs run\`).`;

const runId = randomBytes(8).toString('hex');
const reports = mkdtempSync(join(tmpdir(), 'plenary-test-'));
/** The program that runs now, so that a signal reaches it. */
let running: ReturnType<typeof spawn> | null = null;

function run(script: string, args: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    running = spawn(process.execPath, [join(repositoryRoot, script), ...args], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, [TEST_MARK]: runId },
    });
    running.once('error', reject);
    running.once('close', (code) => {
      running = null;
      resolve(code);
    });
  });
}

async function runCheck(): Promise<TestCounts> {
  const ok = (await run('deploy/local/check.ts', [])) === 0;
  return {
    passed: ok ? 1 : 0,
    failed: ok ? 0 : 1,
    skipped: 0,
    failures: ok ? [] : ['check: see its faults above'],
  };
}

async function runProject(project: string): Promise<TestCounts> {
  const report = join(reports, `${project}.json`);
  const args = ['run', '--project', project, '--passWithNoTests', '--reporter=default', '--reporter=json'];
  const exitCode = await run('node_modules/vitest/vitest.mjs', [...args, `--outputFile.json=${report}`]);
  return countTests(project, existsSync(report) ? readFileSync(report, 'utf8') : null, exitCode);
}

/** What the tests started must have ended with them. */
async function checkLeftovers(after: string): Promise<TestCounts> {
  const left = await waitUntilGone(TEST_MARK, runId, LEFTOVER_TIMEOUT_MS);
  killAll(left);
  const failures = left.map(({ pid, command }) => `after ${after}: process ${pid} stayed behind: ${command}`);
  return { passed: 0, failed: failures.length, skipped: 0, failures };
}

function killAll(left: readonly { pid: number }[]): void {
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It ended by itself meanwhile.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}

function parseParts(): readonly string[] | null {
  const { values } = parseArgs({
    options: { project: { type: 'string', multiple: true }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) return null;
  const parts = ['check', ...PROJECTS];
  const unknown = values.project?.find((name) => !parts.includes(name));
  if (unknown !== undefined)
    throw new Error(`There is no part \`${unknown}\`; there are ${parts.join(', ')}.`);
  return parts.filter((part) => values.project?.includes(part) ?? true);
}

async function main(parts: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const counts: TestCounts[] = [];
  for (const [index, part] of parts.entries()) {
    console.log(`\n[${index + 1}/${parts.length}] ${part}`);
    const partStartedAt = performance.now();
    const count = part === 'check' ? await runCheck() : await runProject(part);
    const left = await checkLeftovers(part);
    counts.push(count, left);
    const took = formatDuration(performance.now() - partStartedAt);
    console.log(
      `[${index + 1}/${parts.length}] ${part}: ${count.failed + left.failed === 0 ? 'good' : 'FAILED'} (${took})`,
    );
  }
  const total = addCounts(counts);
  if (total.failures.length > 0)
    console.log(`\nFailed:\n${total.failures.map((line) => `  ${line}`).join('\n')}`);
  console.log(`\nTook ${formatDuration(performance.now() - startedAt)}.\n${closingLine(total)}`);
  return total.failed === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    running?.kill('SIGTERM');
    killAll(findMarked(TEST_MARK, runId));
    console.error(`\nStopped by ${signal}.`);
    process.exit(130);
  });
}
process.on('exit', () => rmSync(reports, { recursive: true, force: true }));

try {
  const parts = parseParts();
  if (parts === null) console.log(USAGE);
  else process.exitCode = await main(parts);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
