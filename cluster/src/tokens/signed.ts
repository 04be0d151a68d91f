import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, SignJWT } from 'jose';
import type { JWTPayload } from 'jose';
import type { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { CLOCK_LEEWAY_SECONDS, faultOfSchema, faultOfVerdict, tokenFault } from './token-fault.ts';

/** The algorithms of token signatures. The kind of a key decides its algorithm (SPEC TK20). */
export type TokenAlgorithm = 'HS256' | 'ES256' | 'EdDSA' | 'Ed25519';

export interface VerificationKey {
  readonly algorithms: readonly TokenAlgorithm[];
  readonly key: KeyObject;
}

/** The keys that a token is checked with. */
export interface Signer {
  /** The required `iss`. */
  readonly issuer: string;
  /** The keys that may have signed it: more than one while a key is being replaced. */
  readonly keys: readonly VerificationKey[];
}

/** The key that an unverified token names. */
export interface KeyHint {
  readonly algorithm: string | undefined;
  readonly keyId: string | undefined;
  /** Empty if the value is no text. */
  readonly issuer: string | undefined;
  /** Empty if the value is no text. */
  readonly type?: string | undefined;
}

/** @returns `undefined` if the key is unknown */
export type FindSigner = (named: KeyHint) => Signer | undefined;

export interface SignedClaims {
  /** The use of the token; a token for one use is refused for another. */
  readonly audience: string;
  readonly issuer: string;
  /** Names the key; default the issuer, if each issuer has one key. */
  readonly keyId?: string;
  readonly lifetimeSeconds: number;
  readonly claims: JWTPayload;
}

/** The key of a secret text, for HS256 (RFC 7518, 3.2). */
export function keyOfSecret(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret, 'utf8'));
}

/** A secret as a verification key. */
export function secretKey(secret: string): VerificationKey {
  return { algorithms: ['HS256'], key: keyOfSecret(secret) };
}

/** The issuer of tokens that edges make for each other. */
export const CLUSTER_ISSUER = 'cluster';

/** Finds the cluster's key of that name. */
export function clusterSigner(keys: Pick<KeyRing, 'find'>, { keyId = '' }: KeyHint): Signer | undefined {
  const key = keys.find(keyId);
  return key && { issuer: CLUSTER_ISSUER, keys: [{ algorithms: ['HS256'], key }] };
}

export async function signClaims(key: KeyObject, token: SignedClaims): Promise<string> {
  return new SignJWT(token.claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: token.keyId ?? token.issuer })
    .setIssuer(token.issuer)
    .setAudience(token.audience)
    .setIssuedAt()
    .setExpirationTime(`${token.lifetimeSeconds}s`)
    .sign(key);
}

/**
 * Verifies signature, issuer, use, age and shape of a token.
 * @param maxAgeSeconds - the longest lifetime of such a token; one that was issued longer ago is always refused
 * @returns its claims and its signer
 * @throws PlenaryError `token_expired`, `token_invalid`, with the claim and the reason in its detail; errors of
 * `findSigner`
 */
export async function verifyClaims<Claims extends z.ZodType>(
  token: string,
  schema: Claims,
  expected: {
    readonly audience: string;
    readonly maxAgeSeconds: number;
    readonly findSigner: FindSigner;
  },
): Promise<{ readonly claims: z.output<Claims>; readonly issuer: string; readonly issuedAtSeconds: number }> {
  const named = keyHint(token);
  const signer = expected.findSigner(named);
  if (signer === undefined) {
    // A published key is looked up among the keys of its issuer.
    if (named.issuer === undefined) throw tokenFault('missing', { claim: 'iss' });
    throw tokenFault('unknown_key', { claim: 'kid' });
  }
  const payload = await verifyByAny(token, signer, expected);
  // A token for another purpose says so in `typ` (RFC 8725, 3.11).
  if (named.type !== undefined && named.type.toUpperCase() !== 'JWT')
    throw tokenFault('malformed', { claim: 'typ' });
  // jose refuses a token without these claims, and one in which they are no numbers.
  const { iat = 0, exp = 0 } = payload;
  if (exp - iat > expected.maxAgeSeconds) {
    const more = `of which ${expected.maxAgeSeconds} s are allowed`;
    throw tokenFault('lives_too_long', { claim: 'exp', seconds: exp - iat, more });
  }
  const claims = schema.safeParse(payload);
  if (!claims.success) throw faultOfSchema(claims.error, payload);
  return { claims: claims.data, issuer: signer.issuer, issuedAtSeconds: iat };
}

function keyHint(token: string): KeyHint {
  try {
    const { alg, kid, typ } = decodeProtectedHeader(token);
    const { iss } = decodeJwt(token);
    const given = (value: unknown): string | undefined =>
      value === undefined ? undefined : (textOf(value) ?? '');
    return { algorithm: textOf(alg), keyId: textOf(kid), issuer: given(iss), type: given(typ) };
  } catch (cause) {
    throw tokenFault('not_a_token', {}, { cause });
  }
}

/** Before its signature is checked, a token may contain anything. */
const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

async function verifyByAny(
  token: string,
  { issuer, keys }: Signer,
  expected: { readonly audience: string; readonly maxAgeSeconds: number },
): Promise<JWTPayload> {
  let verdict: unknown;
  for (const { key, algorithms } of keys) {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [...algorithms],
        issuer,
        audience: expected.audience,
        maxTokenAge: expected.maxAgeSeconds,
        clockTolerance: CLOCK_LEEWAY_SECONDS,
        requiredClaims: ['exp', 'iat'],
      });
      return payload;
    } catch (thrown) {
      verdict = thrown;
      const isOfAnotherKey =
        thrown instanceof errors.JWSSignatureVerificationFailed || thrown instanceof errors.JOSEAlgNotAllowed;
      if (!isOfAnotherKey) break;
    }
  }
  if (verdict === undefined) throw tokenFault('unknown_key', { claim: 'kid' });
  throw (
    faultOfVerdict(verdict, Math.floor(Date.now() / 1_000)) ??
    new PlenaryError('internal', undefined, { cause: verdict })
  );
}
