import { PlenaryError } from '@plenary/cluster/errors';
import {
  rejoinProofText,
  RESUME_PROOF,
  resumeProofText,
  SESSION_KEY,
  type SessionKeyJwk,
} from '@plenary/cluster/protocol';

/** The key of one session, of which this page can sign with the private half but nobody can take it away. */
export interface SessionKey {
  /** Goes with the join. */
  readonly publicKey: SessionKeyJwk;
  /** Both halves, as a browser can keep them over a reload; see {@link restoreSessionKey}. */
  readonly pair: CryptoKeyPair;
  /** Proves that who resumes is who joined. `nonce` is the id that the edge gave the connection. */
  prove(nonce: string, sessionToken: string): Promise<string>;
  /** Proves that who comes back is who joined before. */
  proveRejoin(nonce: string, rejoinToken: string): Promise<string>;
}

/**
 * Makes a key that cannot be exported: what copies the session token out of this page cannot resume the session.
 *
 * @throws PlenaryError `insecure_context` where the browser has no WebCrypto, as on plain HTTP outside localhost
 */
export async function createSessionKey(): Promise<SessionKey> {
  const pair = await webCrypto().generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, [
    'sign',
    'verify',
  ]);
  return restoreSessionKey(pair);
}

/** The key that a browser kept. @throws PlenaryError `insecure_context`, as above */
export async function restoreSessionKey(pair: CryptoKeyPair): Promise<SessionKey> {
  const subtle = webCrypto();
  const sign = async (text: string): Promise<string> => {
    const bytes = new TextEncoder().encode(text);
    const signature = await subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, bytes);
    return RESUME_PROOF.parse(base64url(new Uint8Array(signature)));
  };
  return {
    publicKey: SESSION_KEY.parse(await subtle.exportKey('jwk', pair.publicKey)),
    pair,
    prove: (nonce, sessionToken) => sign(resumeProofText(nonce, sessionToken)),
    proveRejoin: (nonce, rejoinToken) => sign(rejoinProofText(nonce, rejoinToken)),
  };
}

function webCrypto(): SubtleCrypto {
  const { subtle }: { readonly subtle?: SubtleCrypto } = crypto;
  if (subtle === undefined) throw new PlenaryError('insecure_context');
  return subtle;
}

function base64url(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
