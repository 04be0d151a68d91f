/** `npm run bench:reconnect` stops an edge while thousands of people are on it. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { describeMachine } from '../bench-join/machine.ts';
import { parseStormOptions, USAGE } from './options.ts';
import { formatStormReport, judgeStorm } from './report.ts';
import { filesNeeded, startStormSite } from './site.ts';
import { runStorm } from './storm.ts';

const progress = (line: string): void => {
  process.stderr.write(`… ${line}\n`);
};

/** @throws Error if one process may not open enough files for that many sockets */
function checkOpenFiles(clients: number): void {
  const limit = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  if (limit === 'unlimited' || Number(limit) >= filesNeeded(clients)) return;
  throw new Error(
    `A process may open ${limit} files here, and ${clients} sockets need ${filesNeeded(clients)}: ulimit -n ${filesNeeded(clients)}`,
  );
}

async function main(): Promise<void> {
  const options = parseStormOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  checkOpenFiles(options.clients);
  const { cores, model, kernel, node, loadBefore } = describeMachine();
  const cluster = await startStormSite(options);
  try {
    const result = await runStorm(cluster, options, progress);
    const report = {
      takenAt: new Date().toISOString(),
      machine: { cores, model, kernel, node, loadBefore },
      loadAfter: loadavg()[0] ?? 0,
      result,
      aims: judgeStorm(result),
    };
    const json = JSON.stringify(report, null, 2);
    if (options.json !== undefined) writeFileSync(options.json, `${json}\n`);
    process.stdout.write(`${formatStormReport(report)}\n\n${json}\n`);
    if (result.lost > 0 || result.neverIn.length > 0) process.exitCode = 1;
  } finally {
    await cluster.stop();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
