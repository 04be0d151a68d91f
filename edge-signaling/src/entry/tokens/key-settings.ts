/** The settings of the keys that may sign join tokens. */
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { A_PLACEHOLDER, isPlaceholder, parseKeySet, shownEntry } from '@plenary/cluster';
import type { ApiKeys, Environment, KeySetAddress } from '@plenary/cluster';
import { z } from 'zod';

/** An API key with its secret, as `key:secret`; several are joined by commas. */
const API_KEY_PAIR = /^([A-Za-z0-9_-]{1,64}):([^\s,]{32,1024})$/;
/** A secret that contains another pair: the pairs were not separated by a comma. */
const ANOTHER_PAIR = /[;|&][A-Za-z0-9_-]{1,64}:[^\s,]{32}/;
const MAX_SECRETS_PER_KEY = 4;

/** `key:secret` joined by commas. A key that is given again has a further secret: the first one is the newest (SPEC TK9). */
export const apiKeysSetting = z.string().transform((text, context): ApiKeys => {
  const keys = new Map<string, readonly [string, ...string[]]>();
  for (const [index, pair] of text.split(',').entries()) {
    const [, key, secret] = API_KEY_PAIR.exec(pair.trim()) ?? [];
    // The pair itself must not be printed: it may hold a secret.
    if (key === undefined || secret === undefined) {
      context.addIssue(
        `pair ${index + 1} must be key:secret, with a secret of 32 characters at least, and a comma before the next pair`,
      );
      continue;
    }
    if (ANOTHER_PAIR.test(secret)) {
      context.addIssue(`pair ${index + 1} goes on with another one: put a comma between them`);
      continue;
    }
    const known = keys.get(key);
    if (isPlaceholder(secret)) context.addIssue(`the secret of the key ${key} ${A_PLACEHOLDER}`);
    else if (known?.includes(secret) === true)
      context.addIssue(`the key ${key} is given twice with one secret`);
    else if (known?.length === MAX_SECRETS_PER_KEY) {
      context.addIssue(`the key ${key} has more than ${MAX_SECRETS_PER_KEY} secrets`);
    } else keys.set(key, known === undefined ? [secret] : [...known, secret]);
  }
  return keys;
});

/** The addresses of the key sets, by API key. */
export type KeySetAddresses = ReadonlyMap<string, KeySetAddress>;

const KEY_SET_OF = /^([A-Za-z0-9_-]{1,64})=(\S+)$/;
const LOOPBACK_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]']);

/** `key=/path` or `key=https://…` joined by commas: the public keys of applications, as JWK sets (SPEC TK23, TK10). */
export const joinKeysSetting = z.string().transform((text, context): KeySetAddresses => {
  const addresses = new Map<string, KeySetAddress>();
  for (const [index, item] of text.split(',').entries()) {
    const [, key, source = ''] = KEY_SET_OF.exec(item.trim()) ?? [];
    const address = key === undefined ? undefined : addressOf(source);
    if (key === undefined || address === undefined) {
      context.addIssue(
        `${shownEntry(item.trim(), index)} is not KEY=SOURCE such as acme=/etc/plenary/acme.json or acme=https://example.org/jwks.json`,
      );
    } else if (addresses.has(key)) context.addIssue(`the key ${key} is given twice`);
    else {
      const fault = faultOf(address);
      if (fault !== undefined) context.addIssue(`${key}: ${fault}`);
      addresses.set(key, address);
    }
  }
  return addresses;
});

function addressOf(source: string): KeySetAddress | undefined {
  if (isAbsolute(source)) return { path: source };
  if (!URL.canParse(source)) return undefined;
  const { protocol, hostname, username, password } = new URL(source);
  const isSafe = protocol === 'https:' || (protocol === 'http:' && LOOPBACK_HOSTS.has(hostname));
  return isSafe && username === '' && password === '' ? { url: source } : undefined;
}

/** Returns the fault of a key set file. A URL is read only later, so it has no fault here. */
function faultOf(address: KeySetAddress): string | undefined {
  if ('url' in address) return undefined;
  try {
    parseKeySet(readFileSync(address.path, 'utf8'));
    return undefined;
  } catch (fault) {
    // A parser's message quotes the text, which may be a secret if the setting names a wrong file.
    if (fault instanceof SyntaxError) return `${address.path} is no key set (it is not JSON)`;
    return `${address.path} is no key set (${fault instanceof Error ? fault.message : String(fault)})`;
  }
}

/** Requires at least one key, because no client could join without one. @param given - the text of each setting that is set */
export function keyFaults(given: Environment): readonly string[] {
  return ['PLENARY_API_KEYS', 'PLENARY_JOIN_KEYS'].some((name) => given[name] !== undefined)
    ? []
    : ['PLENARY_API_KEYS: is required, unless there is PLENARY_JOIN_KEYS'];
}
