import { PlenaryError, verifyJoinToken, verifySessionToken } from '@plenary/cluster';
import type { ApiKeys, JoinGrants, SessionClaims } from '@plenary/cluster';
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
  async join(token: string, roomId: RoomId): Promise<JoinGrants> {
    const grants = await verifyJoinToken(token, this.#apiKeys);
    if (grants.room !== roomId) throw new PlenaryError('token_wrong_room');
    return grants;
  }

  /** @throws PlenaryError `token_invalid`, `token_expired` */
  async resume(sessionToken: string): Promise<SessionClaims> {
    return verifySessionToken(this.#clusterSecret, sessionToken);
  }
}
