import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { MemoryGatewayStore } from './memory-gateway-store.ts';
import { MemoryPlacementStore } from './memory-placement-store.ts';
import { MemoryRecoveryStore } from './memory-recovery-store.ts';
import { MemoryRoomEntries } from './memory-room-entries.ts';
import { MemoryRoomLog } from './memory-room-log.ts';
import { MemoryRooms } from './memory-rooms.ts';
import type { RoomStores } from './room-stores.ts';

/** The ports of rooms in this process' memory: for unit tests, the simulation, and a cluster of one process. */
export class MemoryRoomStores implements RoomStores {
  readonly rooms: MemoryRooms;
  readonly placements: MemoryPlacementStore;
  readonly roomLog: MemoryRoomLog;
  readonly recovery: MemoryRecoveryStore;
  readonly gateways: MemoryGatewayStore;
  readonly entries: MemoryRoomEntries;

  constructor(clock: Clock = systemClock) {
    this.rooms = new MemoryRooms(clock);
    this.placements = new MemoryPlacementStore(this.rooms);
    this.roomLog = new MemoryRoomLog(this.rooms);
    this.recovery = new MemoryRecoveryStore(this.rooms);
    this.gateways = new MemoryGatewayStore(this.rooms);
    this.entries = new MemoryRoomEntries(this.rooms);
  }
}
