import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import type { RoomId, TenantId } from '../protocol/ids.ts';
import { CLOCK_LEEWAY_SECONDS } from '../tokens/token-fault.ts';
import { claimKey } from './tenant-store.ts';
import type {
  BegunSession,
  IssuedToken,
  RevocationScope,
  TenantClaim,
  TenantLimits,
  TenantStore,
} from './tenant-store.ts';

interface Held {
  readonly roomId: RoomId;
  readonly untilMs: number;
}

interface Revocation {
  readonly tenantId: TenantId;
  readonly scope: RevocationScope;
  readonly atMs: number;
  readonly untilMs: number;
  readonly ends: boolean;
}

/** A tenant store in this process' memory: for unit tests, the simulation, and a cluster of one process. */
export class MemoryTenantStore implements TenantStore {
  readonly #clock: Clock;
  readonly #tenants = new Map<TenantId, Map<string, Held>>();
  #revocations: readonly Revocation[] = [];

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** The number of live claims of all tenants. */
  get claimCount(): number {
    return [...this.#tenants.keys()].reduce((sum, tenantId) => sum + this.#live(tenantId).size, 0);
  }

  /** Records the present state. @returns a function that restores it, like a failover that loses later writes */
  snapshot(): () => void {
    const kept = [...this.#tenants].map(([tenantId, held]) => [tenantId, new Map(held)] as const);
    const revocations = this.#revocations;
    return () => {
      this.clear();
      this.#revocations = revocations;
      for (const [tenantId, held] of kept) this.#tenants.set(tenantId, new Map(held));
    };
  }

  /** Forgets everything, like `FLUSHALL`. */
  clear(): void {
    this.#tenants.clear();
    this.#revocations = [];
  }

  claim(tenantId: TenantId, claim: TenantClaim, limits: TenantLimits, leaseMs: number): Promise<boolean> {
    const held = this.#live(tenantId);
    const isNew = !held.has(claimKey(claim));
    if (isNew) {
      const rooms = new Set([...held.values()].map(({ roomId }) => roomId));
      const exceeded =
        held.size >= (limits.maxPeers ?? Infinity)
          ? 'people'
          : !rooms.has(claim.roomId) && rooms.size >= (limits.maxRooms ?? Infinity)
            ? 'rooms'
            : undefined;
      if (exceeded !== undefined) {
        return Promise.reject(
          new PlenaryError('tenant_limit_reached', `The tenant has reached its limit of ${exceeded}.`),
        );
      }
    }
    this.#hold(tenantId, claim, leaseMs);
    return Promise.resolve(isNew);
  }

  renew(tenantId: TenantId, claims: readonly TenantClaim[], leaseMs: number): Promise<void> {
    for (const claim of claims) this.#hold(tenantId, claim, leaseMs);
    return Promise.resolve();
  }

  release(tenantId: TenantId, claim: TenantClaim): Promise<void> {
    this.#tenants.get(tenantId)?.delete(claimKey(claim));
    return Promise.resolve();
  }

  revoke(tenantId: TenantId, scope: RevocationScope, forMs: number, ends: boolean): Promise<void> {
    const atMs = this.#clock.wallMs();
    const others = this.#revocations.filter(({ untilMs }) => untilMs > atMs);
    this.#revocations = [...others, { tenantId, scope, atMs, untilMs: atMs + forMs, ends }];
    return Promise.resolve();
  }

  isRevoked(tenantId: TenantId, token: IssuedToken): Promise<boolean> {
    const isMeant = this.#concerning(tenantId, token, token.issuedAtSeconds * 1_000).length > 0;
    return Promise.resolve(isMeant);
  }

  isEnded(tenantId: TenantId, session: BegunSession): Promise<boolean> {
    const isMeant = this.#concerning(tenantId, session, session.joinedAtMs).some(({ ends }) => ends);
    return Promise.resolve(isMeant);
  }

  #concerning(
    tenantId: TenantId,
    { roomId, subject }: Pick<IssuedToken, 'roomId' | 'subject'>,
    sinceMs: number,
  ): Revocation[] {
    const nowMs = this.#clock.wallMs();
    return this.#revocations.filter(
      ({ scope, atMs, untilMs, ...of }) =>
        of.tenantId === tenantId &&
        untilMs > nowMs &&
        sinceMs <= atMs + CLOCK_LEEWAY_SECONDS * 1_000 &&
        (scope.roomId === undefined || scope.roomId === roomId) &&
        (scope.subject === undefined || scope.subject === subject),
    );
  }

  #hold(tenantId: TenantId, claim: TenantClaim, leaseMs: number): void {
    const held = this.#live(tenantId);
    held.set(claimKey(claim), { roomId: claim.roomId, untilMs: this.#clock.wallMs() + leaseMs });
    this.#tenants.set(tenantId, held);
  }

  #live(tenantId: TenantId): Map<string, Held> {
    const nowMs = this.#clock.wallMs();
    const held = this.#tenants.get(tenantId) ?? new Map<string, Held>();
    for (const [key, { untilMs }] of held) {
      if (untilMs <= nowMs) held.delete(key);
    }
    return held;
  }
}
