import type { z } from 'zod';
import { PEER_ID } from '../protocol/ids.ts';
import { JOIN_GRANTS } from './join-token.ts';
import { keyOfSecret, signClaims, verifyClaims } from './signed.ts';

/** How long a session token is good for; an edge renews it well before. */
export const SESSION_TOKEN_SECONDS = 900;
const AUDIENCE = 'plenary-session';
const ISSUER = 'cluster';

/** What a session token proves: that its bearer is this peer, with what its join token granted. */
export const SESSION_CLAIMS = JOIN_GRANTS.extend({ peer: PEER_ID });
export type SessionClaims = z.infer<typeof SESSION_CLAIMS>;

export async function signSessionToken(clusterSecret: string, claims: SessionClaims): Promise<string> {
  return signClaims(keyOfSecret(clusterSecret), {
    audience: AUDIENCE,
    issuer: ISSUER,
    lifetimeSeconds: SESSION_TOKEN_SECONDS,
    claims: SESSION_CLAIMS.parse(claims),
  });
}

/** @throws PlenaryError `token_expired`, `token_invalid` */
export async function verifySessionToken(clusterSecret: string, token: string): Promise<SessionClaims> {
  return verifyClaims(token, SESSION_CLAIMS, {
    audience: AUDIENCE,
    maxAgeSeconds: SESSION_TOKEN_SECONDS,
    keyOf: (issuer) => (issuer === ISSUER ? keyOfSecret(clusterSecret) : undefined),
  });
}
