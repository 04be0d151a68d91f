import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { isInjected, nearestName } from './injected.ts';

/** All that is wrong with a configuration, at once, so that nobody mends one fault to meet the next. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
    this.faults = faults;
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Parses environment variables by a schema whose keys are their names, and freezes the result. A variable `NAME_FILE`
 * gives the value of `NAME` from a file, as Docker secrets do. An unknown `PLENARY_*` variable is a fault, because a
 * misspelt one would otherwise be ignored in silence. What Kubernetes or a Docker link wrote there for a service is none,
 * and never the value of a setting.
 * @param crossFaults - what the caller found wrong between settings, to be told along with the rest
 * @throws ConfigError with every fault
 */
export function parseConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  environment: Environment,
  alsoKnown: readonly string[] = [],
  crossFaults: readonly string[] = [],
): Readonly<z.output<z.ZodObject<Shape>>> {
  const names = Object.keys(schema.shape);
  const known = new Set([...names, ...names.map((name) => `${name}_FILE`), ...alsoKnown]);
  const injected = Object.keys(environment).filter((name) => isInjected(name, environment));
  const own = withoutNames(environment, injected);
  const faults = Object.keys(own)
    .filter((name) => name.startsWith('PLENARY_') && !known.has(name))
    .map((name) => unknownFault(name, known));

  const values: Record<string, string> = {};
  for (const name of names) {
    const value = readValue(name, own, faults);
    if (value !== undefined && value !== '') values[name] = value;
  }
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = issue.path.map(String).join('.') || 'configuration';
      const missing = values[name] === undefined && issue.path.length === 1;
      const hint = injected.includes(name) ? serviceLinkHint(environment[name] ?? '') : '';
      faults.push(`${name}: ${missing ? `is required${hint}` : issue.message}`);
    }
  }
  faults.push(...crossFaults);
  if (faults.length > 0 || !parsed.success) throw new ConfigError(faults);
  return Object.freeze(parsed.data);
}

function withoutNames(environment: Environment, names: readonly string[]): Environment {
  const left = new Set(names);
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !left.has(name)));
}

function unknownFault(name: string, known: ReadonlySet<string>): string {
  const nearest = nearestName(name, known);
  return `${name}: is not a setting of this process${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
}

const serviceLinkHint = (value: string): string =>
  ` (${value} is not a setting but what Kubernetes or a Docker link says of a service; set this variable for the container itself, and enableServiceLinks: false for its pod)`;

function readValue(name: string, environment: Environment, faults: string[]): string | undefined {
  const path = environment[`${name}_FILE`];
  if (path === undefined) return environment[name];
  if (environment[name] !== undefined) {
    faults.push(`${name}: is given both directly and by ${name}_FILE`);
    return undefined;
  }
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    faults.push(
      `${name}_FILE: cannot read ${path} (${error instanceof Error ? error.message : String(error)})`,
    );
    return undefined;
  }
}

/** A whole number out of an environment variable. */
export const integerSetting = (minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(minimum).max(maximum));

/** `on` or `off`. */
export const switchSetting = z.enum(['on', 'off']).transform((value) => value === 'on');

/** A secret: at least 32 characters, so that it cannot be guessed. */
export const secretSetting = z.string().min(32, 'must have at least 32 characters').max(1_024);

/** A port number to listen on. */
export const portSetting = integerSetting(1, 65_535);

export const logLevelSetting = z
  .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
  .default('info');

/** What a URL has beyond scheme, host and port, where nothing else would have an effect; nothing of it that is secret. */
export function beyondOrigin(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null) return undefined;
  const { pathname, username, password } = url;
  if (username !== '' || password !== '') return 'credentials';
  if (pathname !== '/') return `the path ${pathname}`;
  if (text.includes('#')) return 'a fragment';
  return text.includes('?') ? 'a query' : undefined;
}
