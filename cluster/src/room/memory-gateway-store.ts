import { PlenaryError } from '../errors.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import type { DatacenterId, MediaNodeId, RoomId } from '../protocol/ids.ts';
import type { Gateway, GatewayClaim, GatewayStore } from './gateway-store.ts';
import type { MemoryRooms } from './memory-rooms.ts';

/** The gateway store in this process' memory. */
export class MemoryGatewayStore implements GatewayStore {
  readonly #rooms: MemoryRooms;

  constructor(rooms: MemoryRooms) {
    this.#rooms = rooms;
  }

  async claimGateway(claim: GatewayClaim): Promise<Gateway> {
    const room = this.#rooms.find(claim.roomId);
    if (room === undefined) throw new PlenaryError('peer_not_found');
    const key = `${claim.datacenter}|${claim.homeNodeId}`;
    const existing = room.gateways.get(key);
    if (existing !== undefined && existing.epoch !== claim.replacesEpoch) return existing;
    const gateway = { mediaNodeId: claim.mediaNodeId, epoch: room.nextEpoch(this.#rooms.nowUs()) };
    room.gateways.set(key, gateway);
    return Promise.resolve(gateway);
  }

  async releaseGateway(
    roomId: RoomId,
    datacenter: DatacenterId,
    homeNodeId: MediaNodeId,
    epoch: Epoch,
  ): Promise<void> {
    const gateways = this.#rooms.find(roomId)?.gateways;
    const key = `${datacenter}|${homeNodeId}`;
    if (gateways?.get(key)?.epoch === epoch) gateways.delete(key);
    return Promise.resolve();
  }
}
