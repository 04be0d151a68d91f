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
  /** Both halves, as a browser can keep them over a reload; see {@link restoreSessionKey}. Absent where it cannot. */
  readonly pair: CryptoKeyPair | undefined;
  /** Proves that who resumes is who joined. `nonce` is the id that the edge gave the connection. */
  prove(nonce: string, sessionToken: string): Promise<string>;
  /** Proves that who comes back is who joined before. */
  proveRejoin(nonce: string, rejoinToken: string): Promise<string>;
}

/**
 * Makes a key that cannot be exported: what copies the session token out of this page cannot resume the session. A page that came
 * by plain HTTP has no WebCrypto; there the key lies in the page's memory, where everything that it says can be read on the way anyway.
 *
 * @throws PlenaryError `insecure_context` where no key can be made
 */
export async function createSessionKey(): Promise<SessionKey> {
  const subtle = webCrypto();
  if (subtle === undefined) return createKeyInMemory();
  return restoreSessionKey(
    await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']),
  );
}

/** The key that a browser kept. @throws PlenaryError `insecure_context` where the browser has no WebCrypto */
export async function restoreSessionKey(pair: CryptoKeyPair): Promise<SessionKey> {
  const subtle = webCrypto();
  if (subtle === undefined) throw new PlenaryError('insecure_context');
  return keyOf({
    publicKey: SESSION_KEY.parse(await subtle.exportKey('jwk', pair.publicKey)),
    pair,
    sign: async (bytes) =>
      new Uint8Array(await subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, bytes)),
  });
}

async function createKeyInMemory(): Promise<SessionKey> {
  try {
    const { createMemoryKey } = await import('./memory-key.ts');
    const { x, y, sign } = createMemoryKey();
    const [publicX, publicY] = [base64url(x), base64url(y)];
    return keyOf({
      publicKey: SESSION_KEY.parse({ kty: 'EC', crv: 'P-256', x: publicX, y: publicY }),
      pair: undefined,
      sign: (bytes) => Promise.resolve(sign(bytes)),
    });
  } catch (thrown) {
    throw new PlenaryError('insecure_context', undefined, { cause: thrown });
  }
}

interface Signing {
  readonly publicKey: SessionKeyJwk;
  readonly pair: CryptoKeyPair | undefined;
  readonly sign: (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;
}

function keyOf({ publicKey, pair, sign }: Signing): SessionKey {
  const prove = async (text: string): Promise<string> =>
    RESUME_PROOF.parse(base64url(await sign(new TextEncoder().encode(text))));
  return {
    publicKey,
    pair,
    prove: (nonce, sessionToken) => prove(resumeProofText(nonce, sessionToken)),
    proveRejoin: (nonce, rejoinToken) => prove(rejoinProofText(nonce, rejoinToken)),
  };
}

/** Browsers give it to pages that come over HTTPS or from the machine itself. */
function webCrypto(): SubtleCrypto | undefined {
  const { subtle }: { readonly subtle?: SubtleCrypto } = crypto;
  return subtle;
}

function base64url(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
