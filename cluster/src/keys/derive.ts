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
      .refine((secrets) => new Set(secrets).size === secrets.length, 'holds a secret twice'),
  );
