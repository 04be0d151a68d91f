import { z } from 'zod';
import type { KeyRing } from '../keys/key-ring.ts';
import { ROUND_TRIPS } from '../protocol/client-edge.ts';
import { PEER_ID, TENANT_ID } from '../protocol/ids.ts';
import { SESSION_KEY } from '../protocol/session-key.ts';
import { JOIN_GRANTS } from './join-token.ts';
import { CLUSTER_ISSUER, clusterSigner, signClaims, verifyClaims } from './signed.ts';

/** How long a session token is good for; an edge renews it well before. */
export const SESSION_TOKEN_SECONDS = 900;
const AUDIENCE = 'plenary-session';

/** What any edge that serves a session has to know of its join. */
export const SESSION_GRANTS = JOIN_GRANTS.extend({
  /** Whose room it is, and whose limits the peer counts against. */
  tenant: TENANT_ID,
  /** What the client measured, for when its media has to be placed anew. */
  roundTrips: ROUND_TRIPS.optional(),
});
export type SessionGrants = z.infer<typeof SESSION_GRANTS>;

/** What a session token proves: that who also holds its key is this peer, with what its join token granted. */
export const SESSION_CLAIMS = SESSION_GRANTS.extend({
  peer: PEER_ID,
  /** The client's own key (RFC 7800): with it, any edge can check who brings the token without asking the store. */
  cnf: z.object({ jwk: SESSION_KEY }),
  /** Grows with each token of a session: once one is in use, those before it are not taken any more (SPEC SK2). */
  generation: z.int().min(1),
});
export type SessionClaims = z.infer<typeof SESSION_CLAIMS>;

/** @param keys - for `session-token` */
export async function signSessionToken(keys: KeyRing, claims: SessionClaims): Promise<string> {
  return signClaims(keys.current.key, {
    keyId: keys.current.id,
    audience: AUDIENCE,
    issuer: CLUSTER_ISSUER,
    lifetimeSeconds: SESSION_TOKEN_SECONDS,
    claims: SESSION_CLAIMS.parse(claims),
  });
}

/** @throws PlenaryError `token_expired`, `token_invalid` */
export async function verifySessionToken(keys: KeyRing, token: string): Promise<SessionClaims> {
  const { claims } = await verifyClaims(token, SESSION_CLAIMS, {
    audience: AUDIENCE,
    maxAgeSeconds: SESSION_TOKEN_SECONDS,
    findSigner: (hint) => clusterSigner(keys, hint),
  });
  return claims;
}
