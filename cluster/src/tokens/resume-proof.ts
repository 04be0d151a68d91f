import { createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { PlenaryError } from '../errors.ts';
import { rejoinProofText, resumeProofText } from '../protocol/session-key.ts';
import type { SessionKeyJwk } from '../protocol/session-key.ts';

/**
 * Checks that the bearer of a session token has the key of the session (SPEC SK1).
 * @param nonce - of the connection that the token arrived on
 * @throws PlenaryError `proof_invalid`
 */
export async function verifyResumeProof(
  key: SessionKeyJwk,
  resume: { readonly nonce: string; readonly sessionToken: string; readonly proof: string },
): Promise<void> {
  if (!(await isSignedBy(key, resumeProofText(resume.nonce, resume.sessionToken), resume.proof))) {
    throw new PlenaryError('proof_invalid');
  }
}

/**
 * Checks that the bearer of a rejoin token has the key that it names (SPEC RJ2).
 * @param nonce - of the connection that the token arrived on
 * @throws PlenaryError `proof_invalid`
 */
export async function verifyRejoinProof(
  key: SessionKeyJwk,
  rejoin: { readonly nonce: string; readonly rejoinToken: string; readonly proof: string },
): Promise<void> {
  if (!(await isSignedBy(key, rejoinProofText(rejoin.nonce, rejoin.rejoinToken), rejoin.proof))) {
    throw new PlenaryError('proof_invalid');
  }
}

/** Runs on a thread of the pool: it is the most expensive part of a resume, and thousands resume at once when an edge dies. */
function isSignedBy(key: SessionKeyJwk, text: string, signature: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let publicKey: KeyObject;
    try {
      publicKey = createPublicKey({ key, format: 'jwk' });
    } catch {
      // A point off the curve is no key, so it verifies nothing.
      resolve(false);
      return;
    }
    const form = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
    const proof = Buffer.from(signature, 'base64url');
    verify('sha256', Buffer.from(text, 'utf8'), form, proof, (fault, isValid) => {
      if (fault === null) resolve(isValid);
      else reject(fault);
    });
  });
}
