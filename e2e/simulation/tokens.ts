import { PlenaryError } from '@plenary/cluster';
import type { JoinGrants, RoomName, SessionClaims, TenantId, VerifiedJoin } from '@plenary/cluster';

/** Tokens that are looked up in a map, because signing is slow and random. Session keys are not checked. */
export class Tokens {
  readonly #joins = new Map<string, VerifiedJoin>();
  readonly #sessions = new Map<string, SessionClaims>();

  ofJoin(tenantId: TenantId, grants: JoinGrants): string {
    const token = `join-${this.#joins.size}`;
    this.#joins.set(token, { tenantId, grants, issuedAtSeconds: 0 });
    return token;
  }

  ofSession(claims: SessionClaims): string {
    const token = `session-${this.#sessions.size}`;
    this.#sessions.set(token, claims);
    return token;
  }

  readonly join = (request: {
    readonly token: string;
    readonly roomId: RoomName;
  }): Promise<VerifiedJoin & { readonly admittedAtSeconds: number }> => {
    const verified = this.#joins.get(request.token);
    return verified?.grants.room === request.roomId
      ? Promise.resolve({ ...verified, admittedAtSeconds: 0 })
      : Promise.reject(new PlenaryError('token_wrong_room'));
  };

  readonly resume = (request: { readonly sessionToken: string }): Promise<SessionClaims> =>
    this.session(request.sessionToken);

  readonly session = (token: string): Promise<SessionClaims> => {
    const claims = this.#sessions.get(token);
    return claims === undefined ? Promise.reject(new PlenaryError('token_invalid')) : Promise.resolve(claims);
  };
}
