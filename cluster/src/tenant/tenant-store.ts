/**
 * How much of the cluster each tenant uses now. A tenant is the API key that signed a join token. Each of its peers is a
 * claim under a lease: renewed by the edge that holds the session, freed when the peer leaves, and gone by itself when
 * everybody who knew of it is dead. Every method is one atomic change of one tenant. SPEC PL12 to PL14. What tokens of a tenant
 * grant can be taken away again (RJ4).
 */
import { createHash } from 'node:crypto';
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

/** Whose tokens: of all people and rooms of the tenant, of one room, of one person, or of one person in one room. */
export interface RevocationScope {
  readonly roomId?: RoomId;
  /** `sub` of the tokens. */
  readonly subject?: string;
}

/** A join or rejoin token, as far as it counts here. */
export interface IssuedToken {
  readonly roomId: RoomId;
  readonly subject: string;
  readonly issuedAtSeconds: number;
}

/** A session, as far as it counts here. */
export interface BegunSession {
  readonly roomId: RoomId;
  readonly subject: string;
  /** By the store's clock. */
  readonly joinedAtMs: number;
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

  /**
   * Takes away what tokens of the scope grant that were issued until now: nobody joins by them any more. Who is in a room
   * stays there until the peer is removed. Tokens that are made later are taken.
   * @param forMs - as long as such a token could be valid
   * @param ends - whether sessions that began until now are over as well, on whatever edge they come up
   */
  revoke(tenantId: TenantId, scope: RevocationScope, forMs: number, ends: boolean): Promise<void>;

  /** Whether a token was taken away. Clocks may differ by {@link CLOCK_LEEWAY_SECONDS}: in doubt it was. */
  isRevoked(tenantId: TenantId, token: IssuedToken): Promise<boolean>;

  /** Whether a session was ended with the tokens of its scope; with the same leeway. */
  isEnded(tenantId: TenantId, session: BegunSession): Promise<boolean>;
}

/** A person as one word of fixed length, whatever `sub` an application chose. */
export function digestOfSubject(subject: string): string {
  return createHash('sha256').update(subject).digest().subarray(0, 16).toString('base64url');
}

/** A claim as one word: neither id can hold the bar. */
export function claimKey({ roomId, peerId }: TenantClaim): string {
  return `${roomId}|${peerId}`;
}
