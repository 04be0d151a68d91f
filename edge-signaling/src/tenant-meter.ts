import type { ErrorCode } from '@plenary/cluster';
import { tenantOf } from '@plenary/cluster/ids';
import type { TenantId } from '@plenary/cluster/ids';
import type { EdgeMetrics } from './metrics.ts';
import type { LocalRooms } from './room/local-rooms.ts';

/** Limit of tenants with separate series: there may be thousands, and each series costs every scrape. */
export const MAX_NAMED_TENANTS = 20;
/** The label of all other tenants; no tenant can have this name, since it has a dot. */
export const OTHER_TENANTS = 'all.other';

/**
 * Counts by tenant (SPEC TN6): the first configured tenants by name, and the others together. The named tenants do not
 * change while the edge runs, so that strangers create no series and no series jumps.
 */
export class TenantMeter {
  readonly #named: ReadonlySet<TenantId>;
  readonly #metrics: Pick<EdgeMetrics, 'tenantJoins' | 'tenantRooms' | 'tenantSessions'>;

  /** @param tenants - in the order of the configuration */
  constructor(
    tenants: readonly TenantId[],
    metrics: Pick<EdgeMetrics, 'tenantJoins' | 'tenantRooms' | 'tenantSessions'>,
  ) {
    this.#named = new Set(tenants.slice(0, MAX_NAMED_TENANTS));
    this.#metrics = metrics;
    for (const tenant of this.#named) metrics.tenantJoins.inc({ tenant, result: 'ok' }, 0);
  }

  /** Counts the outcome of a join with a valid token. */
  joined(tenantId: TenantId, result: 'ok' | ErrorCode): void {
    this.#metrics.tenantJoins.inc({ tenant: this.#labelOf(tenantId), result });
  }

  /** Updates the gauges; called before a scrape. */
  count(localRooms: Pick<LocalRooms, 'roomIds' | 'sessionsIn'>): void {
    const { tenantRooms, tenantSessions } = this.#metrics;
    const sums = new Map<string, { rooms: number; sessions: number }>(
      [...this.#named].map((tenant) => [tenant, { rooms: 0, sessions: 0 }]),
    );
    for (const roomId of localRooms.roomIds()) {
      const label = this.#labelOf(tenantOf(roomId));
      const sum = sums.get(label) ?? { rooms: 0, sessions: 0 };
      sum.rooms += 1;
      sum.sessions += localRooms.sessionsIn(roomId).length;
      sums.set(label, sum);
    }
    tenantRooms.reset();
    tenantSessions.reset();
    for (const [tenant, { rooms, sessions }] of sums) {
      tenantRooms.set({ tenant }, rooms);
      tenantSessions.set({ tenant }, sessions);
    }
  }

  #labelOf(tenantId: TenantId): string {
    return this.#named.has(tenantId) ? tenantId : OTHER_TENANTS;
  }
}
