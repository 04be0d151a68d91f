/**
 * `npm run bench:hostile` measures what one attacking socket, one address with twenty sockets and a hundred addresses can cost at
 * most, and what a meeting's people notice of it; with `--rows` it measures every row of the attackers' table.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { describeMachine, figure, formatTable } from '@plenary/loadtest/pages';
import { everybodySeesAndHears } from '../../faults/sees-and-hears.ts';
import { HostileWorld } from '../hostile-world.ts';
import { flood, FLOOD_KINDS } from '../rows/floods.ts';
import type { FloodKind } from '../rows/floods.ts';
import { usageOf } from '../usage.ts';
import { worstOf } from '../withstand.ts';
import type { WorstNoticed } from '../withstand.ts';
import { isNoticeable, measureRows, reportRows } from './rows.ts';

/** The crowds of attackers: how many sockets over how many addresses. */
const CROWDS = [
  { name: 'one socket', sockets: 1, addresses: 1 },
  { name: 'one address, 20 sockets', sockets: 20, addresses: 1 },
  { name: '100 addresses', sockets: 100, addresses: 100 },
] as const;
type CrowdSize = (typeof CROWDS)[number];

/** How long an overloaded browser may take to answer before its page counts as gone, in milliseconds. */
const PAGE_ANSWERS_WITHIN_MS = 20_000;

const USAGE = `npm run bench:hostile -- [options]

    --seconds N   how long each attack lasts (8)
    --rows        measures every row of the attackers' table instead of floods; exits with 1 if people could notice a row
  --only NAME   only floods, or rows, whose name contains this; may be given several times
    --json FILE   also writes the figures to this file
`;

interface FailedPresses {
  readonly failedPresses: number;
  /** The error codes of the failed presses. */
  readonly codes: readonly string[];
  /** What people's pages also showed: `connection: resuming`, `media: reconnecting`. */
  readonly interruptions: readonly string[];
}

interface Cost {
  readonly crowd: string;
  readonly flood: string;
  /** In percent of one core. */
  readonly cpuPercent: { readonly edge: number; readonly node: number; readonly redis: number };
  /** How much more memory is used right after the attack than before it, in MiB. */
  readonly memoryMiB: number;
  /** What the meeting's people noticed; `undefined` if a page did not answer. */
  readonly noticed: (WorstNoticed & FailedPresses) | undefined;
  /** The processes that ended unasked, and how. */
  readonly ended: readonly string[];
}

async function measure(
  world: HostileWorld,
  kind: FloodKind,
  crowd: CrowdSize,
  seconds: number,
): Promise<Cost> {
  const addresses = Array.from({ length: crowd.addresses }, () => world.nextAddress());
  await everybodySeesAndHears(world.people);
  await Promise.all(world.people.map((person) => person.watch()));
  const before = usageOf(world);
  const startedMs = performance.now();
  const isOver = (): boolean => performance.now() - startedMs >= seconds * 1_000;
  const attack = Promise.all(
    Array.from({ length: crowd.sockets }, async (_, index) => {
      const address = addresses[index % addresses.length];
      // This measurement ignores the answers and refusals; the table checks them.
      while (!isOver()) await flood(world, kind, isOver, address).catch(() => undefined);
    }),
  );
  await sleep(seconds * 1_000);
  const tookSeconds = (performance.now() - startedMs) / 1_000;
  const after = world.ended.length === 0 ? usageOf(world) : before;
  const noticed = await Promise.race([
    Promise.all(world.people.map((person) => person.noticed())),
    sleep(PAGE_ANSWERS_WITHIN_MS).then(() => undefined),
  ]).catch(() => undefined);
  await attack;
  const percent = (key: keyof Cost['cpuPercent']): number =>
    (100 * (after.cpuSeconds[key] - before.cpuSeconds[key])) / tookSeconds;
  return {
    crowd: crowd.name,
    flood: kind.name,
    cpuPercent: { edge: percent('edge'), node: percent('node'), redis: percent('redis') },
    memoryMiB: (after.memoryBytes - before.memoryBytes) / 1_048_576,
    noticed: noticed && {
      ...worstOf(world.people, noticed),
      failedPresses: noticed.reduce((sum, { presses }) => sum + presses.failed, 0),
      codes: [...new Set(noticed.flatMap(({ presses }) => presses.codes))],
      interruptions: [...new Set(noticed.flatMap(({ interruptions }) => interruptions))],
    },
    ended: [...world.ended],
  };
}

async function measureFloods(isWanted: (name: string) => boolean, seconds: number): Promise<Cost[]> {
  const costs: Cost[] = [];
  for (const crowd of CROWDS) {
    for (const kind of FLOOD_KINDS.filter(({ name }) => isWanted(name))) {
      process.stderr.write(`… ${crowd.name}: ${kind.name}\n`);
      const world = await HostileWorld.start('plain');
      try {
        costs.push(await measure(world, kind, crowd, seconds));
      } catch (error) {
        process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      } finally {
        await world.stop();
      }
    }
  }
  return costs;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '8' },
      only: { type: 'string', multiple: true },
      json: { type: 'string' },
      rows: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return;
  }
  const { only } = values;
  const isWanted = (name: string): boolean => only?.some((part) => name.includes(part)) ?? true;
  const seconds = Number(values.seconds);
  if (values.rows === true) {
    const rows = await measureRows(isWanted, seconds);
    write({ rows }, reportRows(rows), values.json);
    if (rows.some(isNoticeable)) process.exitCode = 1;
  } else {
    const costs = await measureFloods(isWanted, seconds);
    write({ costs }, report(costs), values.json);
  }
}

function write(figures: object, table: string, file: string | undefined): void {
  const taken = { takenAt: new Date().toISOString(), machine: describeMachine(), ...figures };
  const text = JSON.stringify(taken, null, 2);
  if (file !== undefined) writeFileSync(file, `${text}\n`);
  process.stdout.write(`${table}\n\n${text}\n`);
}

function report(costs: readonly Cost[]): string {
  return formatTable(
    [
      '',
      'edge %',
      'node %',
      'Redis %',
      'memory MiB',
      'picture s',
      'sound s',
      'buttons p95 s',
      'buttons failed',
      'ended',
    ],
    costs.map(({ crowd, flood: name, cpuPercent, memoryMiB, noticed, ended }) => [
      `${crowd}: ${name}`,
      ...[cpuPercent.edge, cpuPercent.node, cpuPercent.redis, memoryMiB].map(figure),
      ...(noticed === undefined
        ? ['–', '–', '–', '–']
        : [
            ...[noticed.picture, noticed.sound, noticed.buttons].map((ms) => figure(ms / 1_000)),
            [String(noticed.failedPresses), ...noticed.codes].join(' '),
          ]),
      ended.join(', '),
    ]),
  );
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
