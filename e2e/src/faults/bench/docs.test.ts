/** Checks that `docs/failure-modes.md` shows the table; `npm run bench:faults -- --runs 0 --docs` rewrites it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FAULTS } from '../table.ts';
import { DOCUMENT, readLastRun } from './last-run.ts';
import { formatDocs, replacePart } from './report.ts';

describe('docs/failure-modes.md', () => {
  it('shows every row of the fault table, with the figures of its last run', () => {
    const document = readFileSync(DOCUMENT, 'utf8');
    expect(document).toBe(replacePart(document, formatDocs(FAULTS, readLastRun())));
  });

  it('names each row differently', () => {
    expect(new Set(FAULTS.map(({ name }) => name)).size).toBe(FAULTS.length);
  });
});
