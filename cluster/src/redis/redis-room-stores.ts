import type { RoomStores } from '../room/room-stores.ts';
import { CommandGate } from './command-gate.ts';
import { RedisGatewayStore } from './redis-gateway-store.ts';
import { RedisRoomEntries } from './redis-room-entries.ts';
import { RedisPlacementStore } from './redis-placement-store.ts';
import { RedisRecoveryStore } from './redis-recovery-store.ts';
import { RedisRoomLog } from './redis-room-log.ts';
import { RedisRooms } from './redis-rooms.ts';
import type { RedisRoomsOptions } from './redis-rooms.ts';

type Given = Pick<RedisRoomsOptions, 'redis' | 'run' | 'keys'> & Partial<RedisRoomsOptions>;

/** The room stores in Redis. */
export function redisRoomStores({
  report = () => undefined,
  gate = new CommandGate(),
  ...given
}: Given): RoomStores {
  const rooms = new RedisRooms({ ...given, report, gate });
  return {
    placements: new RedisPlacementStore(rooms),
    roomLog: new RedisRoomLog(rooms),
    recovery: new RedisRecoveryStore(rooms),
    gateways: new RedisGatewayStore(rooms),
    entries: new RedisRoomEntries(rooms),
  };
}
