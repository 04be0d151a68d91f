import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, it } from 'vitest';

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const tests = globSync('**/*.test.ts', { cwd: import.meta.dirname });

it('the README says what each test file shows', () => {
  expect(tests.length).toBeGreaterThan(20);
  const unnamed = tests.filter(
    (file) => basename(file) !== 'readme.test.ts' && !README.includes(`${file}\``),
  );
  expect(unnamed).toEqual([]);
});

it('the README names only files that exist', () => {
  const there = new Set(globSync('**/*.ts', { cwd: import.meta.dirname }).map((file) => basename(file)));
  const simulation = globSync('*.ts', { cwd: new URL('../simulation', import.meta.url).pathname });
  for (const file of simulation) there.add(file);
  const named = [...README.matchAll(/`([\w./-]+\.ts)`/g)].map(([, file = '']) => basename(file));
  expect(named.filter((file) => !there.has(file))).toEqual([]);
});
