import { PlenaryError, TENANT_ID } from '@plenary/cluster';
import type { JoinGrants, RoomId, SessionClaims, VerifiedJoin } from '@plenary/cluster';

const TENANT = TENANT_ID.parse('tenant');

/** Tokens that are numbers in a book, since signing is slow and by chance; keys prove themselves. */
export class Tokens {
  readonly #joins = new Map<string, JoinGrants>();
  readonly #sessions = new Map<string, SessionClaims>();

  ofJoin(grants: JoinGrants): string {
    const token = `join-${this.#joins.size}`;
    this.#joins.set(token, grants);
    return token;
  }

  ofSession(claims: SessionClaims): string {
    const token = `session-${this.#sessions.size}`;
    this.#sessions.set(token, claims);
    return token;
  }

  readonly join = (token: string, roomId: RoomId): Promise<VerifiedJoin> => {
    const grants = this.#joins.get(token);
    if (grants?.room !== roomId) return Promise.reject(new PlenaryError('token_wrong_room'));
    return Promise.resolve({ grants, tenantId: TENANT });
  };

  readonly resume = (request: { readonly sessionToken: string }): Promise<SessionClaims> =>
    this.session(request.sessionToken);

  readonly session = (token: string): Promise<SessionClaims> => {
    const claims = this.#sessions.get(token);
    return claims === undefined ? Promise.reject(new PlenaryError('token_invalid')) : Promise.resolve(claims);
  };
}
