import { PlenaryError, verifyJoinToken, verifyResumeProof, verifySessionToken } from '@plenary/cluster';
import type { ApiKeys, KeyRing, SessionClaims, VerifiedJoin } from '@plenary/cluster';
import type { RoomName } from '@plenary/cluster/ids';
import type { ClientRequest } from '@plenary/cluster/protocol';

/** Checks the tokens that clients bring (SPEC TK). */
export class Authenticator {
  readonly #apiKeys: ApiKeys;
  readonly #sessionKeys: KeyRing;

  constructor(keys: { readonly apiKeys: ApiKeys; readonly sessionKeys: KeyRing }) {
    this.#apiKeys = keys.apiKeys;
    this.#sessionKeys = keys.sessionKeys;
  }

  /** @throws PlenaryError `token_invalid`, `token_expired`, `token_wrong_room` */
  async join(token: string, roomName: RoomName): Promise<VerifiedJoin> {
    const verified = await verifyJoinToken(token, this.#apiKeys);
    if (verified.grants.room !== roomName) throw new PlenaryError('token_wrong_room');
    return verified;
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
    return verifySessionToken(this.#sessionKeys, sessionToken);
  }
}
