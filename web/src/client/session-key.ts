import { PlenaryError } from '@plenary/cluster/errors';
import {
  rejoinProofText,
  RESUME_PROOF,
  resumeProofText,
  SESSION_KEY,
  type SessionKeyJwk,
} from '@plenary/cluster/protocol';

/** The key of one session. The page can sign with its private half, but nobody can export it. */
export interface SessionKey {
  /** Sent with the join. */
  readonly publicKey: SessionKeyJwk;
  /** Both halves, which a browser can store over a reload; see {@link restoreSessionKey}. Absent without WebCrypto. */
  readonly pair: CryptoKeyPair | undefined;
  /** Proves that the same client joined before it resumes. `nonce` is the id that the edge gave the connection. */
  prove(nonce: string, sessionToken: string): Promise<string>;
  /** Proves that the same person joined before they rejoin. */
  proveRejoin(nonce: string, rejoinToken: string): Promise<string>;
}

/**
 * Creates a key that cannot be exported, so that a stolen session token alone cannot resume the session. A page served over plain HTTP has
 * no WebCrypto: there the key is in the page's memory, which is no further loss, because its traffic is readable anyway.
 *
 * @throws PlenaryError `insecure_context` when no key can be created
 */
export async function createSessionKey(): Promise<SessionKey> {
  const subtle = webCrypto();
  if (subtle === undefined) return createKeyInMemory();
  return restoreSessionKey(
    await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']),
  );
}

/** Restores a key that a browser stored. @throws PlenaryError `insecure_context` when the browser has no WebCrypto */
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

/** WebCrypto, which browsers provide to pages from HTTPS or localhost. */
function webCrypto(): SubtleCrypto | undefined {
  const { subtle }: { readonly subtle?: SubtleCrypto } = crypto;
  return subtle;
}

function base64url(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
