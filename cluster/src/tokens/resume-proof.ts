import { createPublicKey, verify } from 'node:crypto';
import { PlenaryError } from '../errors.ts';
import { resumeProofText } from '../protocol/session-key.ts';
import type { SessionKeyJwk } from '../protocol/session-key.ts';

/**
 * Checks that who brings a session token holds the key that the session was begun with (SPEC SE13).
 * @param nonce - of the connection that the token came on
 * @throws PlenaryError `proof_invalid`
 */
export function verifyResumeProof(
  key: SessionKeyJwk,
  resume: { readonly nonce: string; readonly sessionToken: string; readonly proof: string },
): void {
  if (!isSignedBy(key, resumeProofText(resume.nonce, resume.sessionToken), resume.proof)) {
    throw new PlenaryError('proof_invalid');
  }
}

function isSignedBy(key: SessionKeyJwk, text: string, signature: string): boolean {
  try {
    const publicKey = createPublicKey({ key, format: 'jwk' });
    const form = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
    return verify('sha256', Buffer.from(text, 'utf8'), form, Buffer.from(signature, 'base64url'));
  } catch {
    // A point that is not on the curve is no key, so that nothing can be signed by it.
    return false;
  }
}
