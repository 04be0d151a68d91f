import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
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

const MIN_SECRET_LENGTH = 32;

export type Environment = Readonly<Record<string, string | undefined>>;

export interface GivenSettings {
  /** The text of each setting that is given; empty where that cannot be read or used. */
  readonly values: Readonly<Record<string, string>>;
  /** Why not. */
  readonly faults: readonly string[];
}

/**
 * What an environment says of the settings of a schema: from files where it names them (`NAME_FILE`), without what Kubernetes
 * or a Docker link wrote there for a service, and without the space and line ends around it (SPEC CF2, CF4, CF7). What is
 * empty is not given.
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
 * misspelt one would otherwise be ignored in silence. What Kubernetes or a Docker link wrote there for a service is none,
 * and never the value of a setting.
 * @param findCrossFaults - what the caller finds wrong between settings, to be told along with the rest
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
      // It is given, and has its fault already.
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

/** @returns undefined where the setting is not given, or is empty */
function readValue(
  name: string,
  environment: Environment,
): { readonly value: string } | { readonly fault: string } | undefined {
  // A byte order mark counts as space.
  const direct = (environment[name] ?? '').trim();
  const path = (environment[`${name}_FILE`] ?? '').trim();
  if (path === '' && direct === '') return undefined;
  if (path !== '' && direct !== '') return { fault: `${name}: is given both directly and by ${name}_FILE` };
  try {
    const value = inOneLine(path === '' ? direct : UTF8.decode(readFileSync(path)).trim());
    // A secret that was never written must not pass for one that nobody wants.
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
  // Docker and Kubernetes hand out secrets by owner and mode.
  const who = code === 'EACCES' ? `; this process runs as user ${process.getuid?.() ?? 'unknown'}` : '';
  if (isLikeAPath(path)) return `cannot read ${path} (${message})${who}`;
  return `must be the path of a file that holds the value; what is given is none (${code ?? 'unknown'}), and is not repeated here since it may be the value itself`;
}

/** A secret may have slashes, too, as base64 has. A path that somebody meant begins with a folder that there is. */
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

/** Throws a TypeError for what is in another encoding, such as the UTF-16 that PowerShell writes. */
const UTF8 = new TextDecoder('utf-8', { fatal: true });
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const QUOTED = /^(["'])[^]*\1$/;

/**
 * What nobody means to be part of a setting and nobody sees there. Above all in a secret, of which nothing else is known: it
 * would be another one than that of the other processes. The text itself is not repeated.
 */
function faultOfText(text: string): string | undefined {
  if (UNSEEN.test(text)) return 'holds a line end or another character that cannot be seen';
  if (text.length > 1 && QUOTED.test(text))
    return 'is in quotation marks, which are part of the value here (`docker run --env-file` and Kubernetes keep them): leave them out';
  return undefined;
}

/** How a fault names an entry of a list: it may be a secret that was typed into the wrong setting, or have one in it. */
export function shownEntry(text: string, index: number): string {
  return text.length < MIN_SECRET_LENGTH && !text.includes('@') ? text : `entry ${index + 1}`;
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
export const secretSetting = z
  .string()
  .min(MIN_SECRET_LENGTH, `must have at least ${MIN_SECRET_LENGTH} characters`)
  .max(1_024);

/** A port number to listen on. */
export const portSetting = integerSetting(1, 65_535);

const LABEL = '[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?';
const HOST_NAME = new RegExp(`^(?=.{1,253}$)${LABEL}(\\.${LABEL})*$`, 'i');
/** Whatever resolves names takes these for an address, or for a broken one: `256.1.1.1`, `127.1`, `0x7f.1`. */
const LIKE_AN_ADDRESS = /(^|\.)(\d+|0x[0-9a-f]*)$/i;

/** Whether a text is a host's name, and no address that was misspelt. */
export function isHostName(text: string): boolean {
  return HOST_NAME.test(text) && !LIKE_AN_ADDRESS.test(text);
}

/** Where to listen. */
export const hostSetting = z
  .string()
  .refine(
    (text) => isIP(text) !== 0 || isHostName(text),
    'must be an address or a host name, without a port, brackets or a scheme',
  );

export const logLevelSetting = z
  .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
  .default('info');

/** Whether an address stands for every interface, so that nobody could reach anything there. */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || /^[0:]+$/.test(address);
}

/** Why nobody could reach a host that a URL names, if that is certain. */
export function hostFault(text: string): string | undefined {
  const hostname = URL.parse(text)?.hostname.replace(/^\[|\]$/g, '') ?? '';
  if (isUnspecified(hostname))
    return 'nobody reaches an unspecified address: name the one at which others reach this process';
  if (hostname.includes('*')) return 'has a * in its host, which stands for nothing here: name one host';
  return undefined;
}

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
