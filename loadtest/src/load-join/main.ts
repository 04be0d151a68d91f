/** `npm run load:join`: people who come and go, by k6 and the real protocol. */
import { writeFileSync } from 'node:fs';
import { figure, formatTable } from '../table.ts';
import { parseLoadOptions, USAGE } from './options.ts';
import { runK6 } from './run-k6.ts';
import type { JoinLoadResult } from './run-k6.ts';
import { findRunningTarget, startTarget } from './target.ts';

const TRENDS = [
  ['plenary_enter_ms', 'connect and join'],
  ['plenary_join_ms', 'join, answered'],
  ['plenary_chat_ms', 'own chat message, come back'],
] as const;

function formatResult({ metrics, output, passed }: JoinLoadResult): string {
  const value = (metric: string, name: string): number | undefined => metrics[metric]?.values[name];
  const joins = value('plenary_joined', 'passes') ?? 0;
  const failed = value('plenary_joined', 'fails') ?? 0;
  return [
    `${joins} joined, ${failed} failed, ${figure(value('iterations', 'rate'))} visits per second, ` +
      `${value('plenary_events', 'count') ?? 0} room events read`,
    '',
    formatTable(
      ['ms', 'p50', 'p95', 'worst'],
      TRENDS.map(([metric, name]) => [
        name,
        figure(value(metric, 'med')),
        figure(value(metric, 'p(95)')),
        figure(value(metric, 'max')),
      ]),
    ),
    ...(passed ? [] : ['', output.trim(), '', 'Some joins or checks failed.']),
    '',
  ].join('\n');
}

async function main(): Promise<void> {
  const options = parseLoadOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  const { vus, duration, iterations, roomSize, holdMs } = options;
  const target = options.useRunning ? findRunningTarget() : await startTarget();
  try {
    const amount = iterations === undefined ? `for ${duration}` : `${iterations} times each`;
    process.stderr.write(`… ${vus} people come and go ${amount}\n`);
    const shape = { vus, roomSize, holdMs, ...(iterations === undefined ? { duration } : { iterations }) };
    const result = await runK6(target, shape);
    if (options.json !== undefined)
      writeFileSync(options.json, `${JSON.stringify(result.metrics, null, 2)}\n`);
    process.stdout.write(formatResult(result));
    if (!result.passed) process.exitCode = 1;
  } finally {
    await target.close();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
