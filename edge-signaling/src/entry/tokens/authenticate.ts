import {
  PlenaryError,
  verifyJoinToken,
  verifyRejoinProof,
  verifyRejoinToken,
  verifyResumeProof,
  verifySessionToken,
} from '@plenary/cluster';
import type { JoinKeys, KeyRing, SessionClaims, VerifiedJoin } from '@plenary/cluster';
import type { ClientRequest, SessionKeyJwk } from '@plenary/cluster/protocol';

/** A person with a valid token, and the time of their admission. */
export interface AdmittedPerson extends VerifiedJoin {
  /** The time at which the application admitted this person: at this join, or, for a rejoin, at the first one. */
  readonly admittedAtSeconds: number;
}

export interface AuthenticatorSettings {
  readonly joinKeys: Pick<JoinKeys, 'find'>;
  readonly sessionKeys: KeyRing;
  readonly rejoinKeys: KeyRing;
  /** How long after the use of their join token people may join again. */
  readonly rejoinWithinSeconds: number;
}

/** Verifies the tokens of clients (SPEC TK, RJ). */
export class Authenticator {
  readonly #settings: AuthenticatorSettings;

  constructor(settings: AuthenticatorSettings) {
    this.#settings = settings;
  }

  /**
   * Verifies a join token or, with a proof, a rejoin token.
   * @param nonce - the nonce of the connection that the request came on
   * @throws PlenaryError `token_invalid`, `token_expired`, `token_wrong_room`, `keys_unavailable`, `proof_invalid`
   */
  async join(
    request: Pick<ClientRequest<'join'>, 'roomId' | 'token' | 'proof' | 'sessionKey'>,
    nonce: string,
  ): Promise<AdmittedPerson> {
    const { token, proof, roomId } = request;
    const admission =
      proof === undefined ? await this.#firstJoin(token) : await this.#rejoin({ ...request, proof }, nonce);
    if (admission.grants.room !== roomId) throw new PlenaryError('token_wrong_room');
    return admission;
  }

  async #firstJoin(token: string): Promise<AdmittedPerson> {
    const verified = await verifyJoinToken(token, this.#settings.joinKeys);
    return { ...verified, admittedAtSeconds: Math.floor(Date.now() / 1_000) };
  }

  async #rejoin(
    request: { readonly token: string; readonly proof: string; readonly sessionKey: SessionKeyJwk },
    nonce: string,
  ): Promise<AdmittedPerson> {
    const { rejoinKeys, rejoinWithinSeconds } = this.#settings;
    const { token, proof, sessionKey } = request;
    const { key, ...admission } = await verifyRejoinToken(rejoinKeys, token, rejoinWithinSeconds);
    // The new session is bound to the same key, so that a copied token alone is useless.
    if (key.x !== sessionKey.x || key.y !== sessionKey.y) throw new PlenaryError('proof_invalid');
    await verifyRejoinProof(key, { nonce, rejoinToken: token, proof });
    return admission;
  }

  /**
   * Returns the claims of a session token after verifying the proof of its key.
   * @param nonce - the nonce of the connection that the request came on
   * @throws PlenaryError `token_invalid`, `token_expired`, `token_wrong_room`, `proof_invalid`
   */
  async resume(
    request: Pick<ClientRequest<'resume'>, 'roomId' | 'sessionToken' | 'proof'>,
    nonce: string,
  ): Promise<SessionClaims> {
    const { roomId, sessionToken, proof } = request;
    const claims = await this.session(sessionToken);
    if (claims.room !== roomId) throw new PlenaryError('token_wrong_room');
    await verifyResumeProof(claims.cnf.jwk, { nonce, sessionToken, proof });
    return claims;
  }

  /** The claims of a session token; they do not prove the client's identity. @throws PlenaryError `token_invalid`, `token_expired` */
  async session(sessionToken: string): Promise<SessionClaims> {
    return verifySessionToken(this.#settings.sessionKeys, sessionToken);
  }
}
