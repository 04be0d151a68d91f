/** Every schema of the repository, found by the function that makes it, also schemas that a module does not export. */
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { LINES } from '@plenary/cluster/protocol';
import type { RecordedStrings } from '@plenary/cluster/testing/recorded-strings';
import { looseStrings } from '@plenary/cluster/testing/schema-walk';
import { expect, it, vi } from 'vitest';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Tests, measurements and developers' tools read what they, or this repository, made. */
const TOOLS = /^(e2e|loadtest|deploy\/local)\/|\/testing\/|\/generate-|\.test\.ts/;
/** Operators' input, such as environment variables and the command line, crosses no wire. */
const SETTINGS = /\/(config|settings|[a-z]+-settings|arguments|store-address)\.ts/;
const SETTING = /Settings?\b|SETTINGS\b/;

const recorded = vi.hoisted((): { strings: RecordedStrings | undefined } => ({ strings: undefined }));
vi.mock('zod', async (importOriginal) => {
  const zod = await importOriginal<{ readonly z: typeof z }>();
  const { RecordedStrings: Strings } = await import('@plenary/cluster/testing/recorded-strings');
  recorded.strings ??= new Strings();
  return { ...zod, z: recorded.strings.recording(zod.z) };
});

const PACKAGE = z.object({ workspaces: z.array(z.string()) });

function modulesWithSchemas(): string[] {
  const { workspaces } = PACKAGE.parse(JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')));
  return workspaces.flatMap((workspace) =>
    readdirSync(ROOT + workspace, { recursive: true, encoding: 'utf8' })
      .map((path) => `${workspace}/${path}`)
      .filter((path) => /\.tsx?$/.test(path) && !/node_modules|\/dist\/|\.d\.ts$/.test(path))
      .filter((path) => !TOOLS.test(path) && !SETTINGS.test(path))
      .filter((path) => /from '(zod|.*\/text\.ts)'/.test(readFileSync(ROOT + path, 'utf8'))),
  );
}

/** By the file, the line, and what the schema is part of. */
function nameOf(place: string): string {
  const [path = '', line = ''] = place.split(':');
  const above = readFileSync(path, 'utf8').split('\n').slice(0, Number(line));
  const [, name = ''] =
    /^(?:export )?const (\w+)/.exec(above.findLast((text) => /^(export )?const /.test(text)) ?? '') ?? [];
  return `${path.replace(ROOT, '')}:${line} ${name}`;
}

it('[MS1] no string of any schema of the repository holds what a person or a parser would trip over', async () => {
  // Another file may have loaded them before, with a zod that records nothing.
  vi.resetModules();
  for (const path of modulesWithSchemas()) await import(pathToFileURL(ROOT + path).href);
  const schemas = (recorded.strings?.schemas ?? [])
    .map(({ name, schema }) => ({ name: nameOf(name), schema }))
    .filter(({ name }) => ![TOOLS, SETTINGS, SETTING].some((pattern) => pattern.test(name)));
  const names = schemas.map(({ name }) => name).join('\n');
  for (const known of [
    'consul-client.ts',
    'key-set.ts',
    'link-messages.ts',
    'transport/publication.ts',
    'plenaryctl/admin-client.ts',
  ]) {
    expect(names).toContain(known);
  }
  const faults = schemas.flatMap((one) => looseStrings(one, ({ source }) => source === LINES.source));
  expect(faults).toEqual([]);
});
