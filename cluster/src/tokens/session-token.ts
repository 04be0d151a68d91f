import { z } from 'zod';
import type { KeyRing } from '../keys/key-ring.ts';
import { ROUND_TRIPS } from '../protocol/client-edge.ts';
import { PEER_ID, TENANT_ID } from '../protocol/ids.ts';
import { SESSION_KEY } from '../protocol/session-key.ts';
import { JOIN_GRANTS } from './join-token.ts';
import { CLUSTER_ISSUER, clusterSigner, signClaims, verifyClaims } from './signed.ts';

/** How long a session token is valid, in seconds; an edge renews it well before. */
export const SESSION_TOKEN_SECONDS = 900;
const AUDIENCE = 'plenary-session';

/** The part of a join that every edge that serves the session needs. */
export const SESSION_GRANTS = JOIN_GRANTS.extend({
  /** The tenant of the room, whose limits the peer counts against. */
  tenant: TENANT_ID,
  /** The client's measurements, needed when its media session is placed again. */
  roundTrips: ROUND_TRIPS.optional(),
});
export type SessionGrants = z.infer<typeof SESSION_GRANTS>;

/** The claims of a session token: the holder of its key is this peer, with the grants of its join token. */
export const SESSION_CLAIMS = SESSION_GRANTS.extend({
  peer: PEER_ID,
  /** The client's own key (RFC 7800): with it, any edge can check the bearer of the token without the store. */
  cnf: z.object({ jwk: SESSION_KEY }),
  /** Grows with each token of a session: once a token is in use, edges refuse the earlier ones (SPEC SK2). */
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
