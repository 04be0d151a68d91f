/** The client's key of one session: its form on the wire, and the texts that it signs (SPEC SK1). */
import { z } from 'zod';
import { isOnP256 } from './p256.ts';
import { patternText } from './text.ts';

/** A coordinate of a P-256 point: 32 bytes in base64url, whose last character holds four bits. */
const COORDINATE = z
  .string()
  .max(43)
  .regex(/^[\w-]{42}[AEIMQUYcgkosw048]$/, { error: 'must be 32 bytes in base64url', abort: true });

/** An ECDSA P-256 public key as a JWK (RFC 7518, 6.2.1). */
export const SESSION_KEY = z
  .object({
    kty: z.literal('EC'),
    crv: z.literal('P-256'),
    x: COORDINATE,
    y: COORDINATE,
  })
  // Checked at the join: an invalid key could never sign a resume, and its owner would notice only in an outage.
  .refine(({ x, y }) => isOnP256(x, y), 'is not a point of the curve P-256');
export type SessionKeyJwk = z.infer<typeof SESSION_KEY>;

/** An ECDSA signature over SHA-256, as WebCrypto makes it (r and s, 64 bytes), in base64url. */
export const RESUME_PROOF = patternText(/^[A-Za-z0-9_-]{86}$/, 86, 'must be 64 bytes in base64url');

/**
 * The text that a client signs to resume, in UTF-8.
 * @param nonce - the Socket.IO id that the edge gave this connection: a proof for one connection is invalid on
 * another
 */
export function resumeProofText(nonce: string, sessionToken: string): string {
  return `plenary-resume ${nonce} ${sessionToken}`;
}

/**
 * The text that a client signs to join again with a rejoin token, in UTF-8.
 * @param nonce - as above
 */
export function rejoinProofText(nonce: string, rejoinToken: string): string {
  return `plenary-rejoin ${nonce} ${rejoinToken}`;
}
