import { PlenaryError } from '@plenary/cluster/errors';
import { RESUME_PROOF, resumeProofText, SESSION_KEY, type SessionKeyJwk } from '@plenary/cluster/protocol';

/** The key of one session, of which this page can sign with the private half but nobody can take it away. */
export interface SessionKey {
  /** Goes with the join. */
  readonly publicKey: SessionKeyJwk;
  /** Proves that who resumes is who joined. `nonce` is the id that the edge gave the connection. */
  prove(nonce: string, sessionToken: string): Promise<string>;
}

/**
 * Makes a key that cannot be exported: what copies the session token out of this page cannot resume the session.
 *
 * @throws PlenaryError `insecure_context` where the browser has no WebCrypto, as on plain HTTP outside localhost
 */
export async function createSessionKey(): Promise<SessionKey> {
  const { subtle }: { readonly subtle?: SubtleCrypto } = crypto;
  if (subtle === undefined) throw new PlenaryError('insecure_context');
  const { privateKey, publicKey } = await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, [
    'sign',
    'verify',
  ]);
  return {
    publicKey: SESSION_KEY.parse(await subtle.exportKey('jwk', publicKey)),
    async prove(nonce, sessionToken) {
      const text = new TextEncoder().encode(resumeProofText(nonce, sessionToken));
      const signature = await subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, text);
      return RESUME_PROOF.parse(base64url(new Uint8Array(signature)));
    },
  };
}

function base64url(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
