/**
 * How much of the cluster each tenant uses now. A tenant is the API key that signed a join token. Each of its peers is a
 * claim under a lease: renewed by the edge that holds the session, freed when the peer leaves, and gone by itself when
 * everybody who knew of it is dead. Every method is one atomic change of one tenant. SPEC PL12 to PL14.
 */
import type { PeerId, RoomId, TenantId } from '../protocol/ids.ts';

export interface TenantLimits {
  /** People of the tenant at a time, in all rooms; `undefined` for no limit. */
  readonly maxPeers: number | undefined;
  /** Rooms with people of the tenant at a time; `undefined` for no limit. */
  readonly maxRooms: number | undefined;
}

export interface TenantClaim {
  readonly roomId: RoomId;
  readonly peerId: PeerId;
}

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface TenantStore {
  /**
   * Claims a place for one more peer for `leaseMs`. A claim that the peer has already is prolonged, whatever the limits.
   * @returns whether the claim is new
   * @throws PlenaryError `tenant_limit_reached`, which changes nothing
   */
  claim(tenantId: TenantId, claim: TenantClaim, limits: TenantLimits, leaseMs: number): Promise<boolean>;

  /** Prolongs claims to `leaseMs` from now, and makes those anew that were lost. Refuses none: their peers are there. */
  renew(tenantId: TenantId, claims: readonly TenantClaim[], leaseMs: number): Promise<void>;

  /** Frees a claim; that it is gone already is no error. */
  release(tenantId: TenantId, claim: TenantClaim): Promise<void>;
}

/** A claim as one word: neither id can hold the bar. */
export function claimKey({ roomId, peerId }: TenantClaim): string {
  return `${roomId}|${peerId}`;
}
