/**
 * A rejoin token lets a person whose session is over come back as who they were: with the grants of the join token that
 * they came with, long after that one has expired, and only in the hands of who holds the session's key (SPEC RJ).
 */
import { z } from 'zod';
import type { KeyRing } from '../keys/key-ring.ts';
import { TENANT_ID } from '../protocol/ids.ts';
import type { TenantId } from '../protocol/ids.ts';
import { SESSION_KEY } from '../protocol/session-key.ts';
import type { SessionKeyJwk } from '../protocol/session-key.ts';
import { JOIN_GRANTS } from './join-token.ts';
import type { JoinGrants } from './join-token.ts';
import { CLUSTER_ISSUER, clusterSigner, signClaims, verifyClaims } from './signed.ts';
import { tokenFault } from './token-fault.ts';

const AUDIENCE = 'plenary-rejoin';

const REJOIN_CLAIMS = JOIN_GRANTS.extend({
  tenant: TENANT_ID,
  /** The client's own key (RFC 7800). */
  cnf: z.object({ jwk: SESSION_KEY }),
  /** When the join token was brought that all of this goes back to, in seconds since 1970 (OpenID Connect's claim). */
  auth_time: z.int().min(0),
});

/** What a rejoin token proves. */
export interface RejoinClaims {
  readonly grants: JoinGrants;
  readonly tenantId: TenantId;
  readonly key: SessionKeyJwk;
  /** When the application let this person in. Coming back does not prolong it. */
  readonly admittedAtSeconds: number;
}

/**
 * @param keys - for `rejoin-token`
 * @param withinSeconds - how long after `admittedAtSeconds` one may come back
 * @returns `undefined` when that time is over
 */
export async function signRejoinToken(
  keys: KeyRing,
  { grants, tenantId, key, admittedAtSeconds }: RejoinClaims,
  withinSeconds: number,
  nowSeconds = Math.floor(Date.now() / 1_000),
): Promise<string | undefined> {
  const lifetimeSeconds = admittedAtSeconds + withinSeconds - nowSeconds;
  if (lifetimeSeconds <= 0) return undefined;
  const claims = REJOIN_CLAIMS.parse({
    ...grants,
    tenant: tenantId,
    cnf: { jwk: key },
    auth_time: admittedAtSeconds,
  });
  return signClaims(keys.current.key, {
    keyId: keys.current.id,
    audience: AUDIENCE,
    issuer: CLUSTER_ISSUER,
    lifetimeSeconds,
    claims,
  });
}

/** @throws PlenaryError `token_expired`, `token_invalid` */
export async function verifyRejoinToken(
  keys: KeyRing,
  token: string,
  withinSeconds: number,
): Promise<RejoinClaims & { readonly issuedAtSeconds: number }> {
  const { claims, issuedAtSeconds } = await verifyClaims(token, REJOIN_CLAIMS, {
    audience: AUDIENCE,
    maxAgeSeconds: withinSeconds,
    findSigner: (hint) => clusterSigner(keys, hint),
  });
  const { tenant: tenantId, cnf, auth_time: admittedAtSeconds, ...grants } = claims;
  // The operator may have shortened the time since the token was made.
  const overSeconds = Date.now() / 1_000 - admittedAtSeconds - withinSeconds;
  if (overSeconds >= 0) throw tokenFault('expired', { claim: 'auth_time', seconds: overSeconds });
  return { grants, tenantId, key: cnf.jwk, admittedAtSeconds, issuedAtSeconds };
}
