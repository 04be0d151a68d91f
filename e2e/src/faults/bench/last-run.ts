import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FAULTS } from '../table.ts';
import { LAST_RUN } from './figures.ts';
import type { LastRun } from './figures.ts';
import { formatDocs, replacePart } from './report.ts';

const FIGURES = join(import.meta.dirname, 'last-run.json');
export const DOCUMENT = join(import.meta.dirname, '../../../../docs/failure-modes.md');

/** The figures that the document shows. */
export function readLastRun(): LastRun {
  if (!existsSync(FIGURES)) return { takenAt: '', machine: '', rows: {} };
  return LAST_RUN.parse(JSON.parse(readFileSync(FIGURES, 'utf8')));
}

/** Replaces the figures of these rows, in the file and in the document. */
export function publishRun(run: LastRun): void {
  const known = new Set(FAULTS.map(({ name }) => name));
  const rows = Object.fromEntries(
    Object.entries({ ...readLastRun().rows, ...run.rows }).filter(([name]) => known.has(name)),
  );
  const merged = { ...run, rows };
  writeFileSync(FIGURES, `${JSON.stringify(merged, null, 2)}\n`);
  writeFileSync(DOCUMENT, replacePart(readFileSync(DOCUMENT, 'utf8'), formatDocs(FAULTS, merged)));
}
