import { inBackground } from '@plenary/cluster';
import type { Clock, RoomStores, TenantStore } from '@plenary/cluster';
import type { EdgeConfig } from '../config.ts';
import type { Directory } from '../directory/directory.ts';
import { EntryReconciler } from '../entries/entry-reconciler.ts';
import { TenantClaims } from '../entry/tenant-claims.ts';
import type { MediaLinks } from '../media/control-links.ts';
import type { PeerDrops } from '../media/peer-drops.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import { Departures } from './departures.ts';
import { Republisher } from './republisher.ts';
import { StoreWait } from './store-wait.ts';
import { Sweeper } from './sweeper.ts';

export interface RecoveryAssemblySettings {
  readonly config: Pick<EdgeConfig, 'edgeId' | 'leaseMs' | 'resumeWithinMs' | 'tenantLimits'>;
  readonly stores: Pick<RoomStores, 'placements' | 'roomLog' | 'recovery' | 'entries'>;
  readonly tenants: TenantStore;
  readonly isStoreAvailable: () => boolean;
  readonly links: MediaLinks;
  readonly drops: PeerDrops;
  readonly directory: Directory;
  readonly localRooms: LocalRooms;
  readonly channel: RoomChannel;
  readonly clock: Clock;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * The part of an edge that keeps the store correct: departures remove peers that left, the republisher and the tenant claims
 * rewrite the records that this edge owns, and the sweeper removes records without an owner.
 */
export class RecoveryAssembly {
  readonly tenantClaims: TenantClaims;
  readonly departures: Departures;
  readonly republisher: Republisher;
  readonly sweeper: Sweeper;
  readonly storeWait: StoreWait;

  constructor(settings: RecoveryAssemblySettings) {
    const { config, stores, tenants, isStoreAvailable, links, drops, directory } = settings;
    const { localRooms, channel, clock, metrics, reportFault } = settings;
    const { edgeId, leaseMs, resumeWithinMs } = config;
    const { placements, roomLog, recovery, entries } = stores;
    this.storeWait = new StoreWait(isStoreAvailable);
    this.tenantClaims = new TenantClaims({
      tenants,
      limits: config.tenantLimits,
      localRooms,
      isStoreAvailable,
      renewMs: leaseMs,
      resumeWithinMs,
      reportFault,
    });
    this.departures = new Departures({
      placements,
      roomLog,
      drops,
      channel,
      isServedHere: (placed) => localRooms.serves(placed),
      tenantClaims: this.tenantClaims,
      metrics,
      reportFault,
    });
    this.republisher = new Republisher({
      edgeId,
      recovery,
      entryReconciler: new EntryReconciler({ entries, localRooms, channel, metrics }),
      isStoreAvailable,
      localRooms,
      departures: this.departures,
      drops,
      channel,
      metrics,
      reportFault,
    });
    this.sweeper = new Sweeper({
      edgeId,
      departures: this.departures,
      clock,
      placements,
      roomLog,
      isStoreAvailable,
      localRooms,
      links,
      missingForMs: (id) => directory.missingForMs(id),
      leaseMs,
      resumeWithinMs,
      channel,
      metrics,
      reportFault,
    });
  }

  start(): void {
    this.republisher.start();
    this.sweeper.start();
    this.tenantClaims.start();
  }

  /** Completes waiting removals and rewrites this edge's records, because the store answers again. */
  storeReturned(): void {
    this.storeWait.returned();
    // Removals come first, so that the republication restores no peer that has left.
    inBackground(() => this.departures.retryRemovals().then(() => this.republisher.all()));
    inBackground(() => this.tenantClaims.renew());
  }

  /** Stops all periodic work: from now on other edges resume the sessions and own their records. */
  retire(): void {
    this.sweeper.stop();
    this.tenantClaims.stop();
    this.republisher.stop();
  }

  stop(): void {
    this.departures.stop();
  }
}
