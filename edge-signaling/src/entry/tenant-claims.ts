import { every } from '@plenary/cluster';
import type { TenantClaim, TenantLimits, TenantStore } from '@plenary/cluster';
import type { TenantId } from '@plenary/cluster/ids';
import type { ReportFault } from '../metrics.ts';
import type { LocalRooms } from '../room/local-rooms.ts';

/** The limits of each tenant: its own if it has any, otherwise those of all others. */
export interface TenantLimitTable {
  readonly byTenant: ReadonlyMap<TenantId, TenantLimits>;
  readonly others: TenantLimits;
}

export interface TenantClaimsSettings {
  readonly tenants: TenantStore;
  readonly limits: TenantLimitTable;
  readonly localRooms: LocalRooms;
  readonly isStoreAvailable: () => boolean;
  /** How often claims are renewed, in milliseconds. */
  readonly renewMs: number;
  /** How long any edge keeps a session whose connection broke, in milliseconds. */
  readonly resumeWithinMs: number;
  readonly reportFault: ReportFault;
}

/**
 * The claims of this edge's sessions on their tenants' limits (SPEC PL12 to PL14, PL28, PL29). Sessions of tenants without limits
 * claim nothing, which saves the store's work.
 */
export class TenantClaims {
  readonly #settings: TenantClaimsSettings;
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<void> | undefined;

  constructor(settings: TenantClaimsSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#timer = every(this.#settings.renewMs, () => this.renew());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * Claims a place for a peer that is about to join.
   * @returns whether the claim is new, so that this join has to free it if it fails
   * @throws PlenaryError `tenant_limit_reached`, `store_unavailable`
   */
  async claim(tenantId: TenantId, claim: TenantClaim): Promise<boolean> {
    const limits = this.#limitsOf(tenantId);
    if (limits === undefined) return false;
    return this.#settings.tenants.claim(tenantId, claim, limits, this.#leaseMs);
  }

  /** Frees the claim of a peer that is gone. Never throws: a claim that cannot be freed lapses. */
  async release(tenantId: TenantId | undefined, { roomId, peerId }: TenantClaim): Promise<void> {
    if (tenantId === undefined || this.#limitsOf(tenantId) === undefined) return;
    try {
      await this.#settings.tenants.release(tenantId, { roomId, peerId });
    } catch (fault) {
      this.#settings.reportFault('tenant', fault, { doing: 'freeing a claim' });
    }
  }

  /** Renews the claims of all sessions that this edge holds. Never throws: sessions continue without a claim. */
  async renew(): Promise<void> {
    this.#renewing ??= this.#renewAll().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renewAll(): Promise<void> {
    const { tenants, localRooms, isStoreAvailable, reportFault } = this.#settings;
    if (!isStoreAvailable()) return;
    const byTenant = Map.groupBy(localRooms.sessions(), (session) => session.grants.tenant);
    for (const [tenantId, sessions] of byTenant) {
      if (tenantId === undefined || this.#limitsOf(tenantId) === undefined) continue;
      const claims = sessions.map(({ roomId, peerId }) => ({ roomId, peerId }));
      try {
        await tenants.renew(tenantId, claims, this.#leaseMs);
      } catch (fault) {
        reportFault('tenant', fault, { doing: 'renewing claims' });
      }
    }
  }

  /** Covers the time in which another edge may resume the session, and two lost renewals after it. */
  get #leaseMs(): number {
    return this.#settings.resumeWithinMs + 3 * this.#settings.renewMs;
  }

  #limitsOf(tenantId: TenantId): TenantLimits | undefined {
    const { byTenant, others } = this.#settings.limits;
    const limits = byTenant.get(tenantId) ?? others;
    return limits.maxPeers === undefined && limits.maxRooms === undefined ? undefined : limits;
  }
}
