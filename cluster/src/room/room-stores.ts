import type { GatewayStore } from './gateway-store.ts';
import type { PlacementStore } from './placement-store.ts';
import type { RecoveryStore } from './recovery-store.ts';
import type { RoomEntries } from './room-entries.ts';
import type { RoomLog } from './room-log.ts';

/** The ports to the shared state of rooms. */
export interface RoomStores {
  readonly placements: PlacementStore;
  readonly roomLog: RoomLog;
  readonly recovery: RecoveryStore;
  readonly gateways: GatewayStore;
  readonly entries: RoomEntries;
}
