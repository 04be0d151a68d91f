import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseStartArguments } from './local/cluster/arguments.ts';

const root = join(import.meta.dirname, '..');
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'ARCHITECTURE.md',
  'HA_SETUP.md',
  'SECURITY.md',
  'deploy/README.md',
];

/** The npm commands that a page mentions, with their arguments. */
const npmCommands = (page: string): readonly (readonly [script: string, args: string])[] =>
  [
    ...readFileSync(join(root, page), 'utf8').matchAll(
      /\bnpm (?:run )?(start|test|(?<=run )[\w:-]+)(?: -- ([^`\n#|]*))?/g,
    ),
  ].map(([, script = '', args = '']) => [script, args.trim()]);

describe('npm commands of the pages', () => {
  it.each(PAGES)('%s names only scripts that exist', (page) => {
    const names = Object.keys(scripts);
    for (const [script] of npmCommands(page)) {
      // `bench:*` stands for all of them.
      const isThere =
        names.includes(script) || (script.endsWith(':') && names.some((name) => name.startsWith(script)));
      expect(isThere, script).toBe(true);
    }
  });

  it('are understood by `npm start`, and the README has the ports that it takes', () => {
    const starts = npmCommands('README.md').filter(([script, args]) => script === 'start' && args !== '');
    expect(starts.length).toBeGreaterThan(0);
    for (const [, args] of starts)
      expect(parseStartArguments(args.split(/\s+/), undefined).kind).toBe('start');
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    const command = parseStartArguments([], undefined);
    if (command.kind !== 'start' || typeof command.options.ports !== 'object') throw new Error('no ports');
    const { edges, operators } = command.options.ports;
    expect(readme).toContain(`http://localhost:${edges}/`);
    expect(readme).toContain(`http://localhost:${edges + 1}/`);
    // Edges come first, of which there are two.
    expect(readme).toContain(`curl -s localhost:${operators + 2}/metrics`);
  });
});
