/**
 * `npm test`: the check and all tests, from unit to Chromium. Ends with a line of the form `N passed, N failed`, alone
 * on its line, and with exit code 1 if anything failed.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
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

/** One after the other; those of one line run beside each other, where one of them waits most of the time. */
const PARTS = [['check'], ['unit'], ['contract', 'simulation'], ['integration'], ['e2e'], ['rows']] as const;

/** Everything that the tests start inherits this variable, so that what stays behind is found, whatever it is. */
const TEST_MARK = 'TEST_RUN_ID';

/** How long after the last test its processes may take to end. */
const LEFTOVER_TIMEOUT_MS = 20_000;

const USAGE = `Runs the check and all tests.

Usage: npm test -- [options]

  --project P   only this part: check, unit, contract, simulation, integration, e2e or rows; may be given several times
  --help        this text

While working: \`npm run test:unit\` (seconds), \`npm run test:unit -- <file> -t <name>\` (one file, one test), \`npm run check\`
(types, lint, format). A test that starts processes: node deploy/local/bootstrap.mjs run --for test vitest run <file>.`;

const runId = randomBytes(8).toString('hex');
const reports = mkdtempSync(join(tmpdir(), 'plenary-test-'));
/** The programs that run now, so that a signal reaches them. */
const running = new Set<ChildProcess>();

/** @param isAlone - shows what it prints at once; else when it has ended, so that nothing is mixed up */
function run(script: string, args: readonly string[], isAlone: boolean): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const output = isAlone ? 'inherit' : 'pipe';
    const program = spawn(process.execPath, [join(repositoryRoot, script), ...args], {
      cwd: repositoryRoot,
      stdio: ['ignore', output, output],
      env: { ...process.env, [TEST_MARK]: runId },
    });
    running.add(program);
    const printed: Buffer[] = [];
    for (const stream of [program.stdout, program.stderr])
      stream?.on('data', (part: Buffer) => printed.push(part));
    program.once('error', reject);
    program.once('close', (code) => {
      running.delete(program);
      process.stdout.write(Buffer.concat(printed));
      resolve(code);
    });
  });
}

async function runCheck(isAlone: boolean): Promise<TestCounts> {
  const ok = (await run('deploy/local/check.ts', [], isAlone)) === 0;
  return {
    passed: ok ? 1 : 0,
    failed: ok ? 0 : 1,
    skipped: 0,
    failures: ok ? [] : ['check: see its faults above'],
  };
}

async function runProject(project: string, isAlone: boolean): Promise<TestCounts> {
  const report = join(reports, `${project}.json`);
  const args = ['run', '--project', project, '--passWithNoTests', '--reporter=default', '--reporter=json'];
  const exitCode = await run(
    'node_modules/vitest/vitest.mjs',
    [...args, `--outputFile.json=${report}`],
    isAlone,
  );
  return countTests(project, existsSync(report) ? readFileSync(report, 'utf8') : null, exitCode);
}

/** The processes that the tests started must have ended with them. */
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

function parseParts(): readonly (readonly string[])[] | null {
  const { values } = parseArgs({
    options: { project: { type: 'string', multiple: true }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) return null;
  const parts: readonly string[] = PARTS.flat();
  const unknown = values.project?.find((name) => !parts.includes(name));
  if (unknown !== undefined)
    throw new Error(`There is no part \`${unknown}\`; there are ${parts.join(', ')}.`);
  return PARTS.map((beside) => beside.filter((part) => values.project?.includes(part) ?? true)).filter(
    (beside) => beside.length > 0,
  );
}

async function main(parts: readonly (readonly string[])[]): Promise<number> {
  const startedAt = performance.now();
  const counts: TestCounts[] = [];
  for (const [index, beside] of parts.entries()) {
    const step = `[${index + 1}/${parts.length}]`;
    console.log(`\n${step} ${beside.join(' beside ')}`);
    const stepStartedAt = performance.now();
    const isAlone = beside.length === 1;
    const done = await Promise.all(
      beside.map(async (part) => {
        const count = part === 'check' ? await runCheck(isAlone) : await runProject(part, isAlone);
        return { part, count, took: formatDuration(performance.now() - stepStartedAt) };
      }),
    );
    const left = await checkLeftovers(beside.join(' and '));
    counts.push(left);
    for (const { part, count, took } of done) {
      counts.push(count);
      console.log(`${step} ${part}: ${count.failed + left.failed === 0 ? 'good' : 'FAILED'} (${took})`);
    }
  }
  const total = addCounts(counts);
  if (total.failures.length > 0)
    console.log(`\nFailed:\n${total.failures.map((line) => `  ${line}`).join('\n')}`);
  console.log(`\nTook ${formatDuration(performance.now() - startedAt)}.\n${closingLine(total)}`);
  return total.failed === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    for (const program of running) program.kill('SIGTERM');
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
