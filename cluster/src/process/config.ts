import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { isInjected, nearestName } from './injected.ts';

/** All faults of a configuration together, so that nobody fixes one only to meet the next. */
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

const MIN_SECRET_LENGTH = 32;

export type Environment = Readonly<Record<string, string | undefined>>;

export interface GivenSettings {
  /** The text of each given setting; empty if it cannot be read or used. */
  readonly values: Readonly<Record<string, string>>;
  /** The reasons why settings cannot be read or used. */
  readonly faults: readonly string[];
}

/**
 * Reads the settings of a schema from an environment: from files where variables name them (`NAME_FILE`), without the
 * variables that Kubernetes or a Docker link adds for a service, and without surrounding white space (SPEC CF2, CF4,
 * CF7). An empty variable counts as not given.
 */
export function givenSettings(schema: z.ZodObject, environment: Environment): GivenSettings {
  const own = withoutNames(environment, injectedNames(environment));
  const values: Record<string, string> = {};
  const faults: string[] = [];
  for (const name of Object.keys(schema.shape)) {
    const read = readValue(name, own);
    if (read === undefined) continue;
    if ('fault' in read) faults.push(read.fault);
    values[name] = 'fault' in read ? '' : read.value;
  }
  return { values, faults };
}

/**
 * Parses environment variables by a schema whose keys are their names, and freezes the result. A variable `NAME_FILE`
 * gives the value of `NAME` from a file, as Docker secrets do. An unknown `PLENARY_*` variable is a fault, because a
 * misspelt one would otherwise be ignored in silence. Variables that Kubernetes or a Docker link adds for a service
 * are ignored, and never used as the value of a setting.
 * @param findCrossFaults - finds contradictions between settings, which are reported with the rest
 * @throws ConfigError with every fault
 */
export function parseConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  environment: Environment,
  alsoKnown: readonly string[] = [],
  findCrossFaults: (given: GivenSettings['values']) => readonly string[] = () => [],
): Readonly<z.output<z.ZodObject<Shape>>> {
  const names = Object.keys(schema.shape);
  const known = new Set([...names, ...names.map((name) => `${name}_FILE`), ...alsoKnown]);
  const injected = injectedNames(environment);
  const { values, faults: unreadable } = givenSettings(schema, environment);
  const faults = Object.keys(environment)
    .filter((name) => name.startsWith('PLENARY_') && !known.has(name) && !injected.includes(name))
    .map((name) => unknownFault(name, known));
  faults.push(...unreadable);

  const usable = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(usable);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const [first = 'configuration', ...parts] = issue.path;
      const name = String(first);
      // The setting is given, and its fault is listed already.
      if (values[name] === '') continue;
      const missing = values[name] === undefined && parts.length === 0;
      const hint = injected.includes(name) ? serviceLinkHint(environment[name] ?? '') : '';
      const [part] = parts;
      const where = typeof part === 'number' ? `entry ${part + 1} ` : '';
      faults.push(`${name}: ${missing ? `is required${hint}` : `${where}${issue.message}`}`);
    }
  }
  faults.push(...findCrossFaults(values));
  if (faults.length > 0 || !parsed.success) throw new ConfigError(faults);
  return Object.freeze(parsed.data);
}

const injectedNames = (environment: Environment): readonly string[] =>
  Object.keys(environment).filter((name) => isInjected(name, environment));

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

/** @returns undefined if the setting is not given, or is empty */
function readValue(
  name: string,
  environment: Environment,
): { readonly value: string } | { readonly fault: string } | undefined {
  // `trim` removes a byte order mark too.
  const direct = (environment[name] ?? '').trim();
  const path = (environment[`${name}_FILE`] ?? '').trim();
  if (path === '' && direct === '') return undefined;
  if (path !== '' && direct !== '') return { fault: `${name}: is given both directly and by ${name}_FILE` };
  try {
    const value = inOneLine(path === '' ? direct : UTF8.decode(readFileSync(path)).trim());
    // A secret that was never written must not count as an unset one.
    if (value === '') return { fault: `${name}_FILE: ${path} is empty` };
    const fault = faultOfText(value);
    return fault === undefined ? { value } : { fault: `${name}: ${fault}` };
  } catch (error) {
    return { fault: `${name}_FILE: ${unreadable(path, error)}` };
  }
}

function unreadable(path: string, error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  if (error instanceof TypeError && code !== 'ERR_INVALID_ARG_VALUE')
    return `cannot read ${path} (it is not UTF-8 text)`;
  // Docker and Kubernetes protect secrets by owner and mode.
  const who = code === 'EACCES' ? `; this process runs as user ${process.getuid?.() ?? 'unknown'}` : '';
  if (isLikeAPath(path)) return `cannot read ${path} (${message})${who}`;
  return `must be the path of a file that holds the value; what is given is none (${code ?? 'unknown'}), and is not repeated here since it may be the value itself`;
}

/** Whether a text looks like a path. A base64 secret may contain slashes too, but a real path begins with an existing folder. */
function isLikeAPath(text: string): boolean {
  const [first = '', ...rest] = text.replace(/^\//, '').split('/');
  const isAbsolute = text.startsWith('/');
  if (rest.length === 0) return isAbsolute && first.length < MIN_SECRET_LENGTH;
  return existsSync(join(isAbsolute ? '/' : '.', first));
}

/** A list may have one entry on each line, each but the last with its comma. */
function inOneLine(text: string): string {
  if (!/[\t\r\n]/.test(text)) return text;
  return text
    .split(',')
    .map((entry) => entry.trim())
    .join(',');
}

/** Throws a TypeError for another encoding, such as the UTF-16 that PowerShell writes. */
const UTF8 = new TextDecoder('utf-8', { fatal: true });
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const QUOTED = /^(["'])[^]*\1$/;

/**
 * Finds invisible characters and quotation marks, which nobody means to be part of a value. They matter most in a
 * secret, where nothing else would reveal that it differs from that of other processes. The fault does not repeat the
 * text.
 */
function faultOfText(text: string): string | undefined {
  if (UNSEEN.test(text)) return 'holds a line end or another character that cannot be seen';
  if (text.length > 1 && QUOTED.test(text))
    return 'is in quotation marks, which are part of the value here (`docker run --env-file` and Kubernetes keep them): leave them out';
  return undefined;
}

/**
 * How a fault names an entry of a list: not by its text, which may be or contain a secret that was typed into the
 * wrong setting.
 */
export function shownEntry(text: string, index: number): string {
  return text.length < MIN_SECRET_LENGTH && !text.includes('@') ? text : `entry ${index + 1}`;
}

/** A whole number from an environment variable. */
export const integerSetting = (minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(minimum).max(maximum));

/** `on` or `off`. */
export const switchSetting = z.enum(['on', 'off']).transform((value) => value === 'on');

/** A secret: at least 32 characters, so that it cannot be guessed. */
export const secretSetting = z
  .string()
  .min(MIN_SECRET_LENGTH, `must have at least ${MIN_SECRET_LENGTH} characters`)
  .max(1_024);

/** A port number to listen on. */
export const portSetting = integerSetting(1, 65_535);

const LABEL = '[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?';
const HOST_NAME = new RegExp(`^(?=.{1,253}$)${LABEL}(\\.${LABEL})*$`, 'i');
/** Resolvers treat these names as an address, or as a broken one: `256.1.1.1`, `127.1`, `0x7f.1`. */
const LIKE_AN_ADDRESS = /(^|\.)(\d+|0x[0-9a-f]*)$/i;

/** Whether a text is a host name, and not a misspelt address. */
export function isHostName(text: string): boolean {
  return HOST_NAME.test(text) && !LIKE_AN_ADDRESS.test(text);
}

/** The address to listen on. */
export const hostSetting = z
  .string()
  .refine(
    (text) => isIP(text) !== 0 || isHostName(text),
    'must be an address or a host name, without a port, brackets or a scheme',
  );

export const logLevelSetting = z
  .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
  .default('info');

/** Whether an address stands for every interface, so that nobody can connect to it. */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || /^[0:]+$/.test(address);
}

/** The reason why nobody can reach the host of a URL, if that is certain. */
export function hostFault(text: string): string | undefined {
  const hostname = URL.parse(text)?.hostname.replace(/^\[|\]$/g, '') ?? '';
  if (isUnspecified(hostname))
    return 'nobody reaches an unspecified address: name the one at which others reach this process';
  if (hostname.includes('*')) return 'has a * in its host, which stands for nothing here: name one host';
  return undefined;
}

/** The parts of a URL beyond scheme, host and port, which would have no effect; secret parts are not repeated. */
export function beyondOrigin(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null) return undefined;
  const { pathname, username, password } = url;
  if (username !== '' || password !== '') return 'credentials';
  if (pathname !== '/') return `the path ${pathname}`;
  if (text.includes('#')) return 'a fragment';
  return text.includes('?') ? 'a query' : undefined;
}
