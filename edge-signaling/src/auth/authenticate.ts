import { PlenaryError, verifyJoinToken, verifySessionToken } from '@plenary/cluster';
import type { ApiKeys, SessionClaims, VerifiedJoin } from '@plenary/cluster';
import type { RoomId } from '@plenary/cluster/ids';

/** Checks the tokens that clients bring (SPEC TK). */
export class Authenticator {
  readonly #apiKeys: ApiKeys;
  readonly #clusterSecret: string;

  constructor(secrets: { readonly apiKeys: ApiKeys; readonly clusterSecret: string }) {
    this.#apiKeys = secrets.apiKeys;
    this.#clusterSecret = secrets.clusterSecret;
  }

  /** @throws PlenaryError `token_invalid`, `token_expired`, `token_wrong_room` */
  async join(token: string, roomId: RoomId): Promise<VerifiedJoin> {
    const verified = await verifyJoinToken(token, this.#apiKeys);
    if (verified.grants.room !== roomId) throw new PlenaryError('token_wrong_room');
    return verified;
  }

  /** @throws PlenaryError `token_invalid`, `token_expired` */
  async resume(sessionToken: string): Promise<SessionClaims> {
    return verifySessionToken(this.#clusterSecret, sessionToken);
  }
}
