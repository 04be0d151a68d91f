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

/** Who is let in, and since when. */
export interface AdmittedPerson extends VerifiedJoin {
  /** When the application let this person in: at this join, or at the one that they come back from. */
  readonly admittedAtSeconds: number;
}

export interface AuthenticatorSettings {
  readonly joinKeys: Pick<JoinKeys, 'find'>;
  readonly sessionKeys: KeyRing;
  readonly rejoinKeys: KeyRing;
  /** How long after their join token was brought people may come back. */
  readonly rejoinWithinSeconds: number;
}

/** Checks the tokens that clients bring (SPEC TK, RJ). */
export class Authenticator {
  readonly #settings: AuthenticatorSettings;

  constructor(settings: AuthenticatorSettings) {
    this.#settings = settings;
  }

  /**
   * Who comes by a join token; or, with a proof, by a rejoin token.
   * @param nonce - of the connection that it came on
   * @throws PlenaryError `token_invalid`, `token_expired`, `token_wrong_room`, `keys_unavailable`, `proof_invalid`
   */
  async join(
    request: Pick<ClientRequest<'join'>, 'roomId' | 'token' | 'proof' | 'sessionKey'>,
    nonce: string,
  ): Promise<AdmittedPerson> {
    const { token, proof, roomId } = request;
    const admission =
      proof === undefined ? await this.#joinAnew(token) : await this.#rejoin({ ...request, proof }, nonce);
    if (admission.grants.room !== roomId) throw new PlenaryError('token_wrong_room');
    return admission;
  }

  async #joinAnew(token: string): Promise<AdmittedPerson> {
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
    // The session that begins is bound to the same key: who has only copied the token gets nothing by it.
    if (key.x !== sessionKey.x || key.y !== sessionKey.y) throw new PlenaryError('proof_invalid');
    await verifyRejoinProof(key, { nonce, rejoinToken: token, proof });
    return admission;
  }

  /**
   * The claims of a session token that comes with the proof of its key.
   * @param nonce - of the connection that it came on
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

  /** The claims of a session token, which prove nothing of who brings it. @throws PlenaryError `token_invalid`, `token_expired` */
  async session(sessionToken: string): Promise<SessionClaims> {
    return verifySessionToken(this.#settings.sessionKeys, sessionToken);
  }
}
