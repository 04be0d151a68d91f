import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { limitsDocument } from './testing/generate-limits.ts';

it('[BU11] docs/limits.md has the numbers of the code, and is linked from where people look', () => {
  const read = (path: string): string => readFileSync(join(import.meta.dirname, '..', path), 'utf8');
  expect(read('docs/limits.md')).toBe(limitsDocument());
  for (const [page, link] of [
    ['README.md', 'docs/limits.md'],
    ['docs/protocol.md', '(limits.md'],
    ['HA_SETUP.md', 'docs/limits.md'],
  ] as const)
    expect(read(page), page).toContain(link);
});
