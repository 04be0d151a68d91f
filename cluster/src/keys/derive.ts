import { createSecretKey, hkdfSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import type { Namespace } from '../namespace.ts';

/** What keys are derived for. A key for one purpose is of no use for another (SPEC KY1). */
export type KeyPurpose =
  /** Names a secret, so that a process can tell which of its keys made something. Public. */
  | 'key-id'
  /** Stands for the secret in one namespace. */
  | `namespace:${string}`
  | 'session-token'
  | 'rejoin-token'
  | 'peer-id'
  /** Proves that an edge published something. */
  | 'publication'
  /** Proves that an edge is at the address that the registry has of it. */
  | 'edge-address'
  /** Signs which key is whose on control links. */
  | 'control-authority'
  /** The own key of one process on control links, and of one process for its operators. */
  | `control:${string}`
  | `admin:${string}`;

const KEY_BYTES = 32;
/** Public: it keeps Plenary's keys apart from whatever else is derived from the same secret. */
const SALT = 'plenary keys 1';

/** 32 bytes for one purpose (HKDF, RFC 5869), from which nobody learns the secret or a key for another purpose. */
export function deriveBytes(secret: string, purpose: KeyPurpose): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, SALT, purpose, KEY_BYTES));
}

export function deriveKey(secret: string, purpose: KeyPurpose): KeyObject {
  return createSecretKey(deriveBytes(secret, purpose));
}

/** Secrets that are valid at a time: the first one makes, all of them check (SPEC KY2). */
export type Secrets = readonly [current: string, ...others: string[]];

/**
 * The secrets of the cluster of one namespace: clusters that were given the same secret believe nothing of each other (SPEC
 * NS3). In the default namespace they are the given ones.
 */
export function secretsIn(namespace: Namespace, [current, ...others]: Secrets): Secrets {
  if (namespace === DEFAULT_NAMESPACE) return [current, ...others];
  const inNamespace = (secret: string): string =>
    deriveBytes(secret, `namespace:${namespace}`).toString('base64url');
  return [inNamespace(current), ...others.map(inNamespace)];
}

const MAX_SECRETS = 4;
/** Shipped files have such a placeholder where a secret belongs. */
const PLACEHOLDER = /change[-_ ]?me/i;
export const isPlaceholder = (secret: string): boolean => PLACEHOLDER.test(secret);
/** A random secret of 32 characters, of hexadecimal digits too, has at least that many different ones. */
const DIFFERENT_CHARACTERS = 6;

/** What a placeholder in a secret's place is answered with. */
export const A_PLACEHOLDER = 'is a placeholder: take a random one, such as deploy/make-secrets.sh makes';

/** Settings that hold a secret, with their secrets. */
export type NamedSecrets = readonly (readonly [name: string, secrets: readonly string[]])[];

/**
 * Secrets that work and are weak (SPEC CF24, CF25): those that repeat a few characters, and those that stand in an earlier setting too,
 * so that whoever has it for one purpose has it for both.
 */
export function weakSecrets(settings: NamedSecrets): readonly string[] {
  return settings.flatMap(([name, secrets], index) => {
    const isGuessed = secrets.some((secret) => new Set(secret).size < DIFFERENT_CHARACTERS);
    const other = settings
      .slice(0, index)
      .find(([, others]) => secrets.some((secret) => others.includes(secret)));
    return [
      ...(isGuessed
        ? [`${name}: a secret repeats a few characters and is easily guessed; take a random one`]
        : []),
      ...(other === undefined
        ? []
        : [`${name}: holds a secret of ${other[0]}, and whoever has one has both; give each its own`]),
    ];
  });
}

/**
 * One secret, or several joined by commas while they are changed: each has at least 32 characters, so that it cannot be
 * guessed.
 */
export const secretsSetting = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .pipe(
    z
      .tuple([z.string()], z.string())
      .refine((secrets) => secrets.length <= MAX_SECRETS, `may hold ${MAX_SECRETS} secrets at most`)
      .refine((secrets) => secrets.every((secret) => secret.length >= 32), {
        error: 'must have at least 32 characters (each, where several are joined by commas)',
      })
      .refine((secrets) => secrets.every((secret) => secret.length <= 1_024), 'is too long')
      .refine((secrets) => !secrets.some(isPlaceholder), A_PLACEHOLDER)
      .refine((secrets) => new Set(secrets).size === secrets.length, 'holds a secret twice'),
  );
