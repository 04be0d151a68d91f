/**
 * `npm run bench:hostile`: what one attacking socket, one address with twenty of them and a hundred addresses can cost at most, and
 * what the people of a meeting notice of it; with `--rows` the same for every row of the attackers' table.
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

/** How each crowd of attackers connects: how many sockets, over how many addresses. */
const CROWDS = [
  { name: 'one socket', sockets: 1, addresses: 1 },
  { name: 'one address, 20 sockets', sockets: 20, addresses: 1 },
  { name: '100 addresses', sockets: 100, addresses: 100 },
] as const;
type CrowdSize = (typeof CROWDS)[number];

/** A page whose browser is overwhelmed may take long; one that takes longer is gone. */
const PAGE_ANSWERS_WITHIN_MS = 20_000;

const USAGE = `npm run bench:hostile -- [options]

  --seconds N   how long each attack goes on (8)
  --rows        every row of the attackers' table instead of floods; exits with 1 when somebody could notice one of them
  --only NAME   only floods, or rows, whose name contains this; may be given several times
  --json FILE   also writes the figures there
`;

interface FailedPresses {
  readonly failedPresses: number;
  /** With which codes. */
  readonly codes: readonly string[];
  /** What people saw beside: `connection: resuming`, `media: reconnecting`. */
  readonly interruptions: readonly string[];
}

interface Cost {
  readonly crowd: string;
  readonly flood: string;
  /** Of one core, in percent. */
  readonly cpuPercent: { readonly edge: number; readonly node: number; readonly redis: number };
  /** More memory than before the attack, right after it, in MiB. */
  readonly memoryMiB: number;
  /** What the people of the meeting noticed; `undefined` where a page did not even answer. */
  readonly noticed: (WorstNoticed & FailedPresses) | undefined;
  /** How each process ended that was not asked to. */
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
      // What each of a crowd is told, or how it is turned away, is the table's matter, not this one's.
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
