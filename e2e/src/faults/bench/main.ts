/** `npm run bench:faults` measures what a person notices of each fault of the table. */
import { writeFileSync } from 'node:fs';
import { describeMachine } from '@plenary/loadtest/pages';
import { CurrentWorld } from '../../harness/current-world.ts';
import { byWorld, worldOf } from '../fault.ts';
import type { Fault } from '../fault.ts';
import { survive } from '../meeting.ts';
import { FAULTS } from '../table.ts';
import { FaultWorld } from '../fault-world.ts';
import { summariseRow } from './figures.ts';
import type { LastRun, RowFigures, Run } from './figures.ts';
import { publishRun, readLastRun } from './last-run.ts';
import { parseFaultsOptions, USAGE } from './options.ts';
import type { FaultsBenchOptions } from './options.ts';
import { formatReport } from './report.ts';

const progress = (line: string): void => {
  process.stderr.write(`… ${line}\n`);
};

async function measureRow(fault: Fault, runs: number, world: CurrentWorld<FaultWorld>): Promise<RowFigures> {
  const done: Run[] = [];
  let failed = 0;
  for (let run = 1; run <= runs; run += 1) {
    progress(`${fault.name}: ${run} of ${runs}`);
    try {
      done.push(await world.act((current) => survive(current, fault)));
    } catch (error) {
      failed += 1;
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  return summariseRow(done, failed);
}

/** @param measured - is called after each row, so that an interrupted run keeps its rows */
async function measure(
  faults: readonly Fault[],
  { runs, seed }: FaultsBenchOptions,
  measured: (rows: LastRun['rows']) => void,
): Promise<LastRun['rows']> {
  const rows: Record<string, RowFigures> = {};
  if (runs === 0) return rows;
  for (const rowsOfWorld of byWorld(faults)) {
    const [first] = rowsOfWorld;
    if (first === undefined) continue;
    const world = new CurrentWorld(() => FaultWorld.start({ ...worldOf(first), seed }));
    try {
      for (const fault of rowsOfWorld) {
        rows[fault.name] = await measureRow(fault, runs, world);
        measured(rows);
      }
    } finally {
      await world.end();
    }
  }
  return rows;
}

async function main(): Promise<void> {
  const options = parseFaultsOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  const { runs, only, json, docs } = options;
  const machine = describeMachine();
  const { cores, model, loadBefore } = machine;
  const described = `${cores} cores (${model}), load before ${loadBefore.toFixed(1)}`;
  const takenAt = new Date().toISOString();
  const faults = FAULTS.filter(({ name }) => only?.some((part) => name.includes(part)) ?? true);
  const rows = await measure(faults, options, (done) => {
    if (docs) publishRun({ takenAt, machine: described, rows: done });
  });
  if (docs && runs === 0) publishRun(readLastRun());
  const text = JSON.stringify({ takenAt, machine, rows }, null, 2);
  if (json !== undefined) writeFileSync(json, `${text}\n`);
  process.stdout.write(`${formatReport(faults, rows)}\n\n${text}\n`);
  if (Object.values(rows).some(({ failed }) => failed > 0)) {
    process.stderr.write('Some meetings did not recover; see above.\n');
    process.exitCode = 1;
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
