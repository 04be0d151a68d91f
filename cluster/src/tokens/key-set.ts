/** The public keys that an application publishes for its join tokens (RFC 7517). */
import { createPublicKey } from 'node:crypto';
import { z } from 'zod';
import { lineText, OPAQUE_TEXT, patternText } from '../protocol/text.ts';
import type { TokenAlgorithm, VerificationKey } from './signed.ts';

/** The largest key set that is read, in bytes. */
export const MAX_KEY_SET_BYTES = 65_536;
const MAX_KEYS = 32;

const COMMON = { kid: lineText(128).min(1), use: z.literal('sig').optional() };
const COORDINATE = patternText(/^[\w-]{43}$/, 43, 'must be 32 bytes in base64url');
/** The accepted kinds of keys, each with its algorithms; a key is used with no other. */
const PUBLIC_KEY = z.union([
  z.object({
    ...COMMON,
    kty: z.literal('EC'),
    crv: z.literal('P-256'),
    alg: z.literal('ES256').optional(),
    x: COORDINATE,
    y: COORDINATE,
  }),
  z.object({
    ...COMMON,
    kty: z.literal('OKP'),
    crv: z.literal('Ed25519'),
    alg: z.enum(['EdDSA', 'Ed25519']).optional(),
    x: COORDINATE,
  }),
]);
const KEY_SET = z.object({ keys: z.array(z.record(OPAQUE_TEXT, z.unknown())).max(MAX_KEYS) });
const ALGORITHMS_OF: Readonly<Record<'EC' | 'OKP', readonly TokenAlgorithm[]>> = {
  EC: ['ES256'],
  // RFC 9864 gave the algorithm of RFC 8037 a second name.
  OKP: ['EdDSA', 'Ed25519'],
};
/** Members that only a private or a shared key has: it must never be published. */
const PRIVATE_MEMBERS = ['d', 'k', 'p', 'q'];

/** Keys by their id; two keys may share one. */
export type KeySet = ReadonlyMap<string, readonly VerificationKey[]>;

/**
 * Reads a key set. Keys of other kinds, and for other uses than signing, are ignored.
 * @throws Error if it is no key set, or publishes a private key
 */
export function parseKeySet(text: string): KeySet {
  // `trim` removes a byte order mark too.
  const { keys } = KEY_SET.parse(JSON.parse(text.trim()));
  const byId = new Map<string, VerificationKey[]>();
  for (const jwk of keys) {
    if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) {
      throw new Error(
        'the key set holds a private or a shared key: it is known to others by now, replace it',
      );
    }
    const parsed = PUBLIC_KEY.safeParse(jwk);
    if (!parsed.success) continue;
    const { kid, kty } = parsed.data;
    const key = createPublicKey({ key: parsed.data, format: 'jwk' });
    byId.set(kid, [...(byId.get(kid) ?? []), { algorithms: ALGORITHMS_OF[kty], key }]);
  }
  return byId;
}
