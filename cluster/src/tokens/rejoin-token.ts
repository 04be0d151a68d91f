/**
 * A rejoin token lets a person join again after the session has ended, with the grants of the original join token,
 * long after that one has expired. It is valid only together with the session's key (SPEC RJ).
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
  /** When the person first joined with a join token, in seconds since 1970 (OpenID Connect's claim). */
  auth_time: z.int().min(0),
});

/** The content of a verified rejoin token. */
export interface RejoinClaims {
  readonly grants: JoinGrants;
  readonly tenantId: TenantId;
  readonly key: SessionKeyJwk;
  /** When the application admitted this person. Joining again does not prolong it. */
  readonly admittedAtSeconds: number;
}

/**
 * @param keys - for `rejoin-token`
 * @param withinSeconds - how long after `admittedAtSeconds` the person may join again
 * @returns `undefined` if that time is over
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
