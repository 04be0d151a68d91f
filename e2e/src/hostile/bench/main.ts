/**
 * `npm run bench:hostile`: what one attacking socket, one address with twenty of them and a hundred addresses can cost at most, and
 * what the people of a meeting notice of it.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { describeMachine, figure, formatTable } from '@plenary/loadtest/pages';
import { HostileWorld } from '../hostile-world.ts';
import { flood, FLOOD_KINDS } from '../rows/floods.ts';
import type { FloodKind } from '../rows/floods.ts';
import { withstand } from '../withstand.ts';
import type { Noticed } from '../withstand.ts';
import { usageOf } from './usage.ts';

/** How each crowd of attackers connects: how many sockets, over how many addresses. */
const CROWDS = [
  { name: 'one socket', sockets: 1, addresses: 1 },
  { name: 'one address, 20 sockets', sockets: 20, addresses: 1 },
  { name: '100 addresses', sockets: 100, addresses: 100 },
] as const;
type Crowd = (typeof CROWDS)[number];

const USAGE = `npm run bench:hostile -- [options]

  --seconds N   how long each attack goes on (8)
  --only KIND   only floods whose name contains this; may be given several times
  --json FILE   also writes the figures there
`;

interface Cost {
  readonly crowd: string;
  readonly flood: string;
  /** Of one core, in percent. */
  readonly cpuPercent: { readonly edge: number; readonly node: number; readonly redis: number };
  /** More memory than before the attack, right after it, in MiB. */
  readonly memoryMiB: number;
  readonly noticed: Noticed | undefined;
}

async function measure(world: HostileWorld, kind: FloodKind, crowd: Crowd, seconds: number): Promise<Cost> {
  const addresses = Array.from({ length: crowd.addresses }, () => world.nextAddress());
  let before = usageOf(world);
  let after = before;
  let tookSeconds = seconds;
  let noticed: Noticed | undefined;
  try {
    noticed = await withstand(
      world,
      {
        name: `${kind.name}, ${crowd.name}`,
        world: 'plain',
        does: kind.does,
        // What each of a crowd is told, or how it is turned away, is the table's matter, not this one's.
        gets: ['done'],
        strike: async (target, isOver) => {
          before = usageOf(target);
          const startedMs = performance.now();
          await Promise.all(
            Array.from({ length: crowd.sockets }, async (_, index) => {
              const address = addresses[index % addresses.length];
              while (!isOver()) await flood(target, kind, isOver, address).catch(() => undefined);
            }),
          );
          tookSeconds = (performance.now() - startedMs) / 1_000;
          after = usageOf(target);
          return ['done'];
        },
      },
      seconds * 1_000,
    );
  } catch (error) {
    process.stderr.write(
      `${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}\n`,
    );
  }
  const percent = (key: keyof Cost['cpuPercent']): number =>
    (100 * (after.cpuSeconds[key] - before.cpuSeconds[key])) / tookSeconds;
  return {
    crowd: crowd.name,
    flood: kind.name,
    cpuPercent: { edge: percent('edge'), node: percent('node'), redis: percent('redis') },
    memoryMiB: (after.memoryBytes - before.memoryBytes) / 1_048_576,
    noticed,
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '8' },
      only: { type: 'string', multiple: true },
      json: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return;
  }
  const kinds = FLOOD_KINDS.filter(({ name }) => values.only?.some((part) => name.includes(part)) ?? true);
  const machine = describeMachine();
  const costs: Cost[] = [];
  for (const crowd of CROWDS) {
    for (const kind of kinds) {
      process.stderr.write(`… ${crowd.name}: ${kind.name}\n`);
      const world = await HostileWorld.start('plain');
      try {
        costs.push(await measure(world, kind, crowd, Number(values.seconds)));
      } finally {
        await world.stop();
      }
    }
  }
  const text = JSON.stringify({ takenAt: new Date().toISOString(), machine, costs }, null, 2);
  if (values.json !== undefined) writeFileSync(values.json, `${text}\n`);
  process.stdout.write(`${report(costs)}\n\n${text}\n`);
}

function report(costs: readonly Cost[]): string {
  return formatTable(
    ['', 'edge %', 'node %', 'Redis %', 'memory MiB', 'picture s', 'sound s', 'buttons p95 s'],
    costs.map(({ crowd, flood: name, cpuPercent, memoryMiB, noticed }) => [
      `${crowd}: ${name}`,
      figure(cpuPercent.edge),
      figure(cpuPercent.node),
      figure(cpuPercent.redis),
      figure(memoryMiB),
      ...(noticed === undefined
        ? ['noticed', '', '']
        : [noticed.picture, noticed.sound, noticed.buttons].map((ms) => figure(ms / 1_000))),
    ]),
  );
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
