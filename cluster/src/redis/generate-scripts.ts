/**
 * Makes `scripts.generated.ts` from the Lua files: inserts includes, checks each header against the file's name, and
 * writes a typed wrapper for each script. Run by `npm run generate`; with `--check` it only compares, for `npm run
 * check`.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as limits from '../limits/store-limits.ts';

const LUA_FOLDER = fileURLToPath(new URL('./lua/', import.meta.url));
const TARGET = fileURLToPath(new URL('./scripts.generated.ts', import.meta.url));

export interface ScriptHeader {
  readonly purpose: string;
  readonly keys: readonly string[];
  readonly args: readonly string[];
  readonly returns: string;
}

/** Reads a script's header. @throws Error that names what is missing or out of order */
export function parseHeader(fileName: string, source: string): ScriptHeader {
  const header = /^--\[\[\n([\s\S]*?)\n\]\]\n/.exec(source)?.[1];
  if (header === undefined) throw new Error(`${fileName}: has no header --[[ … ]]`);
  const lines = header.split('\n');
  const named = (kind: 'KEYS' | 'ARGV'): string[] => {
    const names: string[] = [];
    for (const line of lines) {
      const match = new RegExp(`^${kind}\\[(\\d+)\\] ([a-z][A-Za-z]*)( - .+)?$`).exec(line);
      if (match?.[1] === undefined || match[2] === undefined) continue;
      names.push(match[2]);
      if (Number(match[1]) !== names.length)
        throw new Error(`${fileName}: ${kind}[${match[1]}] is out of order`);
    }
    return names;
  };
  const returns = lines.find((line) => line.startsWith('Returns '));
  if (returns === undefined) throw new Error(`${fileName}: the header does not say what it returns`);
  const purpose = lines.slice(0, lines.indexOf('')).join(' ');
  const [keys, args] = [named('KEYS'), named('ARGV')];
  const count = Number(/-(\d+)\.lua$/.exec(fileName)?.[1]);
  if (keys.length !== count) throw new Error(`${fileName}: names ${count} keys, its header ${keys.length}`);
  const body = source.slice(header.length);
  const numbered = /\b(?:KEYS|ARGV)\b/.exec(body);
  if (numbered !== null)
    throw new Error(`${fileName}: says ${numbered[0]}; scripts have keys.name and args.name`);
  for (const [table, names] of [
    ['keys', keys],
    ['args', args],
  ] as const) {
    const used = new Set(
      [...body.matchAll(new RegExp(`\\b${table}\\.(\\w+)`, 'g'))].map(([, name = '']) => name),
    );
    for (const name of used) {
      if (!names.includes(name))
        throw new Error(`${fileName}: uses ${table}.${name}, which its header lacks`);
    }
    for (const name of names) {
      if (!used.has(name)) throw new Error(`${fileName}: does not use ${table}.${name}`);
    }
  }
  return { purpose, keys, args, returns };
}

/** The prelude of each script: its keys and arguments under the names from its header. */
function prelude({ keys, args }: ScriptHeader): string {
  const table = (name: string, from: string, parts: readonly string[]): string => {
    const fields = parts.map((part, index) => `${part} = ${from}[${index + 1}]`).join(', ');
    return parts.length === 0 ? '' : `local ${name} = { ${fields} }\n`;
  };
  return table('keys', 'KEYS', keys) + table('args', 'ARGV', args);
}

function expandIncludes(source: string): string {
  return source
    .replace(/^--\[\[[\s\S]*?\n\]\]\n/, '')
    .replace(/^--@include ([a-z-]+)\n/gm, (_line, name: string) => {
      const included = readFileSync(`${LUA_FOLDER}includes/${name}.lua`, 'utf8');
      refuseOwnFigures(name, included);
      return included;
    })
    .replace(/^--@limit ([A-Z_]+)\n/gm, (_line, name: string) => limitLine(name, limits));
}

/**
 * A limit as a line of Lua. The number is in `limits/store-limits.ts` and nowhere else. @throws Error if there is no
 * such limit
 */
export function limitLine(name: string, known: Readonly<Record<string, unknown>>): string {
  const value = known[name];
  if (typeof value !== 'number') throw new Error(`There is no limit ${name}.`);
  return `local ${name} = ${value}\n`;
}

/** Factors between units of time. */
const UNITS = new Set(['1000', '1000000']);

/** Refuses numbers in a script that may be limits or times. @throws Error that names them */
export function refuseOwnFigures(file: string, source: string): void {
  const code = source.replace(/--\[\[[\s\S]*?\]\]|--.*$|'[^']*'/gm, '');
  const own = [...code.matchAll(/\b\d{2,}\b/g)]
    .map(([figure]) => figure)
    .find((figure) => !UNITS.has(figure));
  if (own === undefined) return;
  throw new Error(
    `${file}: says ${own}; put it into cluster/src/limits/store-limits.ts, and take it by --@limit`,
  );
}

function wrapperOf(name: string, header: ScriptHeader): string {
  const record = (names: readonly string[]): string =>
    `{ ${names.map((part) => `readonly ${part}: string`).join('; ')} }`;
  const values = (table: string, names: readonly string[]): string =>
    `[${names.map((part) => `${table}.${part}`).join(', ')}]`;
  const args = header.args.length === 0 ? '' : `\n  args: ${record(header.args)},`;
  return `/** ${header.purpose} ${header.returns} */
export function ${name}(
  run: RunScript,
  keys: ${record(header.keys)},${args}
): Promise<unknown> {
  return run('${name}', ${values('keys', header.keys)}, ${values('args', header.args)});
}
`;
}

/** All scripts by name, each in the folder of the port that it serves. @throws Error if two have the same name */
function scriptFiles(): readonly { readonly file: string; readonly name: string }[] {
  const files = readdirSync(LUA_FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.lua') && !file.startsWith('includes/'))
    .map((file) => ({ file, name: file.replace(/^.*\/|-\d+\.lua$/g, '') }))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
  files.forEach(({ file, name }, index) => {
    if (files[index + 1]?.name === name) throw new Error(`${file}: another script has its name`);
  });
  return files;
}

function generate(): string {
  const scripts = scriptFiles().map(({ file, name }) => {
    const source = readFileSync(LUA_FOLDER + file, 'utf8');
    refuseOwnFigures(file, source);
    const header = parseHeader(file, source);
    return { name, header, lua: prelude(header) + expandIncludes(source) };
  });
  return `/** Generated by \`npm run generate\` from cluster/src/redis/lua: do not edit. */

export type ScriptName = ${scripts.map(({ name }) => `'${name}'`).join(' | ')};

/** Runs a script by its name; the Redis client is the caller's. */
export type RunScript = (name: ScriptName, keys: readonly string[], args: readonly string[]) => Promise<unknown>;

export const SCRIPTS: Readonly<Record<ScriptName, { readonly numberOfKeys: number; readonly lua: string }>> = {
${scripts.map(({ name, header, lua }) => `  ${name}: { numberOfKeys: ${header.keys.length}, lua: ${JSON.stringify(lua)} },`).join('\n')}
};

${scripts.map(({ name, header }) => wrapperOf(name, header)).join('\n')}`;
}

if (import.meta.main) {
  const generated = generate();
  if (!process.argv.includes('--check')) {
    writeFileSync(TARGET, generated);
  } else if (readFileSync(TARGET, 'utf8') !== generated) {
    process.stderr.write('scripts.generated.ts is out of date: run `npm run generate`.\n');
    process.exitCode = 1;
  }
}
