import { rejoinProofText, RESUME_PROOF, resumeProofText, SESSION_KEY } from '../protocol/session-key.ts';
import type { SessionKeyJwk } from '../protocol/session-key.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** Browsers' types and Node's name it differently. */
type PrivateKey = Parameters<typeof crypto.subtle.sign>[1];

/** A session's key as a client makes it. */
export class TestSessionKey {
  readonly jwk: SessionKeyJwk;
  readonly #privateKey: PrivateKey;

  static async create(): Promise<TestSessionKey> {
    const { privateKey, publicKey } = await crypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);
    return new TestSessionKey(SESSION_KEY.parse(await crypto.subtle.exportKey('jwk', publicKey)), privateKey);
  }

  private constructor(jwk: SessionKeyJwk, privateKey: PrivateKey) {
    this.jwk = jwk;
    this.#privateKey = privateKey;
  }

  async prove(nonce: string, sessionToken: string): Promise<string> {
    return this.#sign(resumeProofText(nonce, sessionToken));
  }

  async proveRejoin(nonce: string, rejoinToken: string): Promise<string> {
    return this.#sign(rejoinProofText(nonce, rejoinToken));
  }

  async #sign(text: string): Promise<string> {
    const bytes = new TextEncoder().encode(text);
    const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, this.#privateKey, bytes);
    return RESUME_PROOF.parse(Buffer.from(signature).toString('base64url'));
  }
}
