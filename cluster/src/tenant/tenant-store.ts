/**
 * Counts how much of the cluster each tenant uses. A tenant is the API key that signed a join token. Each of its
 * peers is a claim under a lease. The edge that holds the session renews it, and frees it when the peer leaves. If
 * all processes that knew of it are dead, it expires. Every method is one atomic change of one tenant (SPEC PL12 to
 * PL14). The grants of a tenant's tokens can be revoked (RJ4).
 */
import { createHash } from 'node:crypto';
import type { PeerId, RoomId, TenantId } from '../protocol/ids.ts';

export interface TenantLimits {
  /** The largest number of the tenant's people at a time, in all rooms; `undefined` for no limit. */
  readonly maxPeers: number | undefined;
  /** The largest number of the tenant's occupied rooms at a time; `undefined` for no limit. */
  readonly maxRooms: number | undefined;
}

export interface TenantClaim {
  readonly roomId: RoomId;
  readonly peerId: PeerId;
}

/**
 * The tokens that a revocation covers: of all people and rooms of the tenant, of one room, of one person, or of one
 * person in one room.
 */
export interface RevocationScope {
  readonly roomId?: RoomId;
  /** `sub` of the tokens. */
  readonly subject?: string;
}

/** The parts of a join or rejoin token that a revocation depends on. */
export interface IssuedToken {
  readonly roomId: RoomId;
  readonly subject: string;
  readonly issuedAtSeconds: number;
}

/** The parts of a session that a revocation depends on. */
export interface BegunSession {
  readonly roomId: RoomId;
  readonly subject: string;
  /** By the store's clock. */
  readonly joinedAtMs: number;
}

/** All methods throw PlenaryError `store_unavailable` if the store does not answer. */
export interface TenantStore {
  /**
   * Claims a place for one more peer for `leaseMs`. An existing claim of the peer is prolonged, whatever the limits.
   * @returns whether the claim is new
   * @throws PlenaryError `tenant_limit_reached`, and nothing changes
   */
  claim(tenantId: TenantId, claim: TenantClaim, limits: TenantLimits, leaseMs: number): Promise<boolean>;

  /** Prolongs claims to `leaseMs` from now, and restores lost ones. It refuses none, because their peers are in the room. */
  renew(tenantId: TenantId, claims: readonly TenantClaim[], leaseMs: number): Promise<void>;

  /** Frees a claim; freeing it twice is no error. */
  release(tenantId: TenantId, claim: TenantClaim): Promise<void>;

  /**
   * Revokes the tokens of the scope that were issued until now: nobody can join with them. People in a room stay
   * until their peers are removed. Tokens issued later are accepted.
   * @param forMs - how long such a token could be valid
   * @param ends - whether sessions that began until now end too, on whatever edge they are resumed
   */
  revoke(tenantId: TenantId, scope: RevocationScope, forMs: number, ends: boolean): Promise<void>;

  /** Whether a token was revoked. Clocks may differ by {@link CLOCK_LEEWAY_SECONDS}: in doubt it was. */
  isRevoked(tenantId: TenantId, token: IssuedToken): Promise<boolean>;

  /** Whether a session ended with the tokens of its scope; with the same leeway. */
  isEnded(tenantId: TenantId, session: BegunSession): Promise<boolean>;
}

/** Identifies a person by a word of fixed length, whatever `sub` an application chose. */
export function digestOfSubject(subject: string): string {
  return createHash('sha256').update(subject).digest().subarray(0, 16).toString('base64url');
}

/** A claim as one word: neither id can contain the bar. */
export function claimKey({ roomId, peerId }: TenantClaim): string {
  return `${roomId}|${peerId}`;
}
