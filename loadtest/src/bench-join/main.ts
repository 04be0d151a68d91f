/** `npm run bench:join` measures the cost of a join, and the time until the first picture is shown. */
import { writeFileSync } from 'node:fs';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import { endMediaLinks } from '../bots/bot-transport.ts';
import { runBotsPhase } from './bots-phase.ts';
import type { BotsResult } from './bots-phase.ts';
import { runBrowserPhase } from './browser-phase.ts';
import { describeMachine } from './machine.ts';
import { parseBenchOptions, USAGE } from './options.ts';
import type { BenchOptions } from './options.ts';
import { formatReport, judge } from './report.ts';

const progress = (line: string): void => {
  process.stderr.write(`… ${line}\n`);
};

async function bots(options: BenchOptions): Promise<BotsResult | null> {
  if (options.bots === 0) return null;
  progress(`${options.bots} headless bots`);
  const cluster = await startLocalCluster({
    edges: 1,
    mediaNodes: 1,
    workers: 1,
    web: false,
    logLevel: 'warn',
  });
  try {
    return await runBotsPhase(cluster, options);
  } finally {
    await cluster.stop();
    await endMediaLinks();
  }
}

async function main(): Promise<void> {
  const options = parseBenchOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  const machine = describeMachine();
  const botsResult = await bots(options);
  const browser =
    options.rounds === 0
      ? []
      : await runBrowserPhase({ rounds: options.rounds, roundTripMs: options.roundTrip }, progress);
  const report = {
    takenAt: new Date().toISOString(),
    machine,
    bots: botsResult,
    browser,
    aims: judge(browser),
  };
  const json = JSON.stringify(report, null, 2);
  if (options.json !== undefined) writeFileSync(options.json, `${json}\n`);
  process.stdout.write(`${formatReport(report)}\n\n${json}\n`);
  const lost = browser.some(({ failures }) => failures.length > 0);
  const missing = botsResult !== null && botsResult.gotMedia < botsResult.bots;
  if (lost || missing) {
    process.stderr.write('Some joins failed; see above.\n');
    process.exitCode = 1;
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
