import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import type { JWTPayload } from 'jose';
import { z } from 'zod';
import { PlenaryError } from '../errors.ts';

const ALGORITHM = 'HS256';

export interface SignedClaims {
  /** What the token is for; a token for one use is refused for another. */
  readonly audience: string;
  readonly issuer: string;
  /** Names the key; default the issuer, where each has one. */
  readonly keyId?: string;
  readonly lifetimeSeconds: number;
  readonly claims: JWTPayload;
}

/** The key of a secret text, for HS256 (RFC 7518, 3.2). */
export function keyOfSecret(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret, 'utf8'));
}

export async function signClaims(key: KeyObject, token: SignedClaims): Promise<string> {
  return new SignJWT(token.claims)
    .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT', kid: token.keyId ?? token.issuer })
    .setIssuer(token.issuer)
    .setAudience(token.audience)
    .setIssuedAt()
    .setExpirationTime(`${token.lifetimeSeconds}s`)
    .sign(key);
}

/**
 * Verifies signature, use, age and shape of a token, and gives its claims and the key that signed it.
 * @param keyOf - gives the key of that name; `undefined` for an unknown one
 * @param maxAgeSeconds - refuse a token that was issued longer ago, whatever expiry it names
 * @throws PlenaryError `token_expired`, `token_invalid`
 */
export async function verifyClaims<Claims extends z.ZodType>(
  token: string,
  schema: Claims,
  expected: {
    readonly audience: string;
    readonly maxAgeSeconds: number;
    readonly keyOf: (keyId: string) => KeyObject | undefined;
  },
): Promise<{ readonly claims: z.output<Claims>; readonly keyId: string }> {
  try {
    const { payload, protectedHeader } = await jwtVerify(
      token,
      (header) => {
        const key = expected.keyOf(header.kid ?? '');
        if (key === undefined) throw new PlenaryError('token_invalid', 'Unknown key.');
        return key;
      },
      {
        algorithms: [ALGORITHM],
        audience: expected.audience,
        maxTokenAge: `${expected.maxAgeSeconds}s`,
        clockTolerance: '5s',
        requiredClaims: ['exp', 'iat', 'iss'],
      },
    );
    return { claims: schema.parse(payload), keyId: protectedHeader.kid ?? '' };
  } catch (thrown) {
    if (thrown instanceof PlenaryError) throw thrown;
    if (thrown instanceof errors.JWTExpired)
      throw new PlenaryError('token_expired', undefined, { cause: thrown });
    const known = thrown instanceof errors.JOSEError || thrown instanceof z.ZodError;
    throw new PlenaryError(known ? 'token_invalid' : 'internal', undefined, { cause: thrown });
  }
}
