import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const ROOT = new URL('../', import.meta.url);
const glossary = readFileSync(new URL('docs/glossary.md', ROOT), 'utf8');
/** `| word | meaning | `file` `name` |`; some files stand for themselves. */
const entries = [...glossary.matchAll(/^\| ([^|]+) \| [^|]+ \| `([^`]+)`(?: `([^`]+)`)? \|$/gmu)].map(
  ([, word = '', file = '', name]) => ({ word, file, name }),
);

it('the glossary has the nouns of the domain, each once', () => {
  const words = entries.flatMap(({ word }) => word.split(', '));
  expect(words).toEqual([...new Set(words)]);
  const needed =
    'peer session connection transport producer consumer track pipe relay gateway layer demand placement epoch lease lookup grant';
  for (const word of [...needed.split(' '), 'room log']) expect(words).toContain(word);
});

it.each(entries)('the glossary’s file for $word has it', ({ file, name }) => {
  expect(existsSync(new URL(file, ROOT))).toBe(true);
  if (name !== undefined)
    expect(readFileSync(new URL(file, ROOT), 'utf8')).toMatch(new RegExp(`\\b${name}\\b`));
});
