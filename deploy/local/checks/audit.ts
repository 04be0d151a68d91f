import { spawn } from 'node:child_process';
import { z } from 'zod';
import { repositoryRoot } from '../cluster/options.ts';
import type { CommandResult } from './run.ts';

/** A registry that does not answer must not block the check, in milliseconds. */
const TIMEOUT_MS = 20_000;
const ARGUMENTS = ['audit', '--json', '--fetch-retries=0', '--fetch-timeout=8000'];

const REPORT = z.object({
  vulnerabilities: z.record(
    z.string(),
    z.object({
      severity: z.enum(['info', 'low', 'moderate', 'high', 'critical']),
      range: z.string(),
      via: z.array(z.union([z.string(), z.object({ title: z.string(), url: z.string() })])),
    }),
  ),
});

/**
 * Judges the output of `npm audit`. Known high or critical vulnerabilities fail the check. An answer that is no report (a
 * mirror without the endpoint, no network) does not, because the network is no property of the sources.
 * @param output of `npm audit --json`
 */
export function judgeAudit(output: string): CommandResult {
  const report = REPORT.safeParse(parseJson(output));
  if (!report.success) {
    return { ok: true, output: '', note: 'not asked: the registry gave no report, see `npm audit`' };
  }
  const faults = Object.entries(report.data.vulnerabilities)
    .filter(([, { severity }]) => severity === 'high' || severity === 'critical')
    .map(([name, { severity, range, via }]) => {
      const why = via.map((cause) => (typeof cause === 'string' ? cause : `${cause.title} (${cause.url})`));
      return `${name} ${range}: ${severity}: ${why.join(', ')}`;
    });
  return { ok: faults.length === 0, output: faults.join('\n') };
}

/** Sends the lockfile's packages to the registry's audit. */
export function audit(): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn('npm', ARGUMENTS, {
      cwd: repositoryRoot,
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: TIMEOUT_MS,
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.on('error', () => resolve(judgeAudit('')));
    child.on('close', () => resolve(judgeAudit(output)));
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // npm was ended, or printed something else: no report.
  }
}
