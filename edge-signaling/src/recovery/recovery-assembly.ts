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
 * What keeps the store true: who left is removed (departures), what this edge owns is published again (republisher, claims of
 * tenants), and what nobody owns any more is swept away.
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
      isTakenUp: (placed) => localRooms.serves(placed),
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

  /** The store answers again: what an owner published it publishes again, and what waited is done. */
  storeReturned(): void {
    this.storeWait.returned();
    // Who left is removed before those who stay are published again, so that no one is restored who is gone.
    inBackground(() => this.departures.retryRemovals().then(() => this.republisher.all()));
    inBackground(() => this.tenantClaims.renew());
  }

  /** Sessions are for other edges to take up from now on, and so is what they own. */
  retire(): void {
    this.sweeper.stop();
    this.tenantClaims.stop();
    this.republisher.stop();
  }

  stop(): void {
    this.departures.stop();
  }
}
