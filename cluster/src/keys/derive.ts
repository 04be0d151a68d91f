import { createSecretKey, hkdfSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import type { Namespace } from '../namespace.ts';

/** The purposes of derived keys. A key for one purpose is useless for another (SPEC KY1). */
export type KeyPurpose =
  /** Names a secret, so that a process can tell which of its keys made something. Public. */
  | 'key-id'
  /** Replaces the secret within one namespace. */
  | `namespace:${string}`
  | 'session-token'
  | 'rejoin-token'
  | 'peer-id'
  /** Proves that an edge published a message. */
  | 'publication'
  /** Proves that an edge is at its address in the registry. */
  | 'edge-address'
  /** Certifies the keys of processes on control links. */
  | 'control-authority'
  /** The own key of one process on control links, and of one process for its operators. */
  | `control:${string}`
  | `admin:${string}`;

const KEY_BYTES = 32;
/** Public: it separates Plenary's keys from anything else that is derived from the same secret. */
const SALT = 'plenary keys 1';

/** Derives 32 bytes for one purpose (HKDF, RFC 5869); they reveal neither the secret nor a key for another purpose. */
export function deriveBytes(secret: string, purpose: KeyPurpose): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, SALT, purpose, KEY_BYTES));
}

export function deriveKey(secret: string, purpose: KeyPurpose): KeyObject {
  return createSecretKey(deriveBytes(secret, purpose));
}

/** The secrets that are valid at a time: the first one signs, all are accepted (SPEC KY2). */
export type Secrets = readonly [current: string, ...others: string[]];

/**
 * The cluster's secrets within one namespace: clusters with the same secret in different namespaces do not trust each
 * other (SPEC NS3). In the default namespace they are the given ones.
 */
export function secretsIn(namespace: Namespace, [current, ...others]: Secrets): Secrets {
  if (namespace === DEFAULT_NAMESPACE) return [current, ...others];
  const inNamespace = (secret: string): string =>
    deriveBytes(secret, `namespace:${namespace}`).toString('base64url');
  return [inNamespace(current), ...others.map(inNamespace)];
}

const MAX_SECRETS = 4;
/** The placeholder that shipped files contain in place of a secret. */
const PLACEHOLDER = /change[-_ ]?me/i;
export const isPlaceholder = (secret: string): boolean => PLACEHOLDER.test(secret);
/**
 * The smallest number of different characters; a random secret of 32 characters, even of hexadecimal digits, has at
 * least as many.
 */
const DIFFERENT_CHARACTERS = 6;

/** The fault of a placeholder in place of a secret. */
export const A_PLACEHOLDER = 'is a placeholder: take a random one, such as deploy/make-secrets.sh makes';

/** The settings with secrets, and their secrets. */
export type NamedSecrets = readonly (readonly [name: string, secrets: readonly string[]])[];

/**
 * Finds secrets that work but are weak (SPEC CF24, CF25): those that repeat a few characters, and those that an
 * earlier setting contains too, so that whoever knows it for one purpose knows it for both.
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
        : [`${name}: holds a secret of ${other[0]}, so that knowing one reveals both; give each its own`]),
    ];
  });
}

/**
 * One secret, or several joined by commas while they are changed: each has at least 32 characters, so that it cannot
 * be guessed.
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
