import { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import type { TenantId } from '../protocol/ids.ts';
import { claimKey, digestOfSubject } from '../tenant/tenant-store.ts';
import type {
  BegunSession,
  IssuedToken,
  RevocationScope,
  TenantClaim,
  TenantLimits,
  TenantStore,
} from '../tenant/tenant-store.ts';
import { CLOCK_LEEWAY_SECONDS } from '../tokens/token-fault.ts';
import type { StoreKeys } from './keys.ts';
import {
  claimTenant,
  findRevocation,
  releaseTenant,
  renewTenant,
  revokeTokens,
} from './scripts.generated.ts';
import type { RunScript } from './scripts.generated.ts';

const CLAIM_REPLY = z.union([
  z.tuple([z.literal('claimed'), z.union([z.literal(0), z.literal(1)])]),
  z.tuple([z.literal('refused'), z.enum(['people', 'rooms'])]),
]);
const IS_ANY_SINCE = z.union([z.literal(0), z.literal(1)]);
/** The most claims that one script renews: Redis does nothing else meanwhile. */
const RENEW_AT_ONCE = 500;

/** The tenant store in Redis: one script for each change, both keys of a tenant on one hash tag. */
export class RedisTenantStore implements TenantStore {
  readonly #run: RunScript;
  readonly #keys: StoreKeys;

  constructor(run: RunScript, keys: StoreKeys) {
    this.#run = run;
    this.#keys = keys;
  }

  async claim(
    tenantId: TenantId,
    claim: TenantClaim,
    limits: TenantLimits,
    leaseMs: number,
  ): Promise<boolean> {
    const reply = CLAIM_REPLY.parse(
      await claimTenant(this.#run, this.#keys.tenant(tenantId), {
        claim: claimKey(claim),
        leaseMs: String(leaseMs),
        maxPeers: String(limits.maxPeers ?? ''),
        maxRooms: String(limits.maxRooms ?? ''),
      }),
    );
    if (reply[0] === 'refused') {
      throw new PlenaryError('tenant_limit_reached', `The tenant has reached its limit of ${reply[1]}.`);
    }
    return reply[1] === 1;
  }

  async renew(tenantId: TenantId, claims: readonly TenantClaim[], leaseMs: number): Promise<void> {
    for (let index = 0; index < claims.length; index += RENEW_AT_ONCE) {
      const claimList = claims
        .slice(index, index + RENEW_AT_ONCE)
        .map(claimKey)
        .join(',');
      await renewTenant(this.#run, this.#keys.tenant(tenantId), { leaseMs: String(leaseMs), claimList });
    }
  }

  async release(tenantId: TenantId, claim: TenantClaim): Promise<void> {
    await releaseTenant(this.#run, this.#keys.tenant(tenantId), { claim: claimKey(claim) });
  }

  async revoke(
    tenantId: TenantId,
    { roomId, subject }: RevocationScope,
    forMs: number,
    ends: boolean,
  ): Promise<void> {
    const person = subject === undefined ? undefined : digestOfSubject(subject);
    const { revocation, ending } = this.#keys;
    const keys = { revoked: revocation(tenantId, roomId, person), ended: ending(tenantId, roomId, person) };
    await revokeTokens(this.#run, keys, { forMs: String(forMs), ends: ends ? '1' : '' });
  }

  async isRevoked(tenantId: TenantId, token: IssuedToken): Promise<boolean> {
    return this.#isAnySince(this.#keys.revocation, tenantId, token, token.issuedAtSeconds * 1_000);
  }

  async isEnded(tenantId: TenantId, session: BegunSession): Promise<boolean> {
    return this.#isAnySince(this.#keys.ending, tenantId, session, session.joinedAtMs);
  }

  async #isAnySince(
    keyOf: StoreKeys['revocation'],
    tenantId: TenantId,
    { roomId, subject }: Pick<IssuedToken, 'roomId' | 'subject'>,
    sinceMs: number,
  ): Promise<boolean> {
    const person = digestOfSubject(subject);
    const keys = {
      ofTenant: keyOf(tenantId, undefined, undefined),
      ofRoom: keyOf(tenantId, roomId, undefined),
      ofPerson: keyOf(tenantId, undefined, person),
      ofPersonInRoom: keyOf(tenantId, roomId, person),
    };
    const times = { sinceMs: sinceMs.toFixed(0), leewayMs: (CLOCK_LEEWAY_SECONDS * 1_000).toFixed(0) };
    return IS_ANY_SINCE.parse(await findRevocation(this.#run, keys, times)) === 1;
  }
}
