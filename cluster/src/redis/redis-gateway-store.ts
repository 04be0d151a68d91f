import type { Epoch } from '../protocol/edge-media.ts';
import type { DatacenterId, MediaNodeId, RoomId } from '../protocol/ids.ts';
import type { Gateway, GatewayClaim, GatewayStore } from '../room/gateway-store.ts';
import type { RedisRooms } from './redis-rooms.ts';
import { readGateway } from './room-replies.ts';
import { claimGateway, releaseGateway } from './scripts.generated.ts';

/** The gateway store in Redis. */
export class RedisGatewayStore implements GatewayStore {
  readonly #rooms: RedisRooms;

  constructor(rooms: RedisRooms) {
    this.#rooms = rooms;
  }

  async claimGateway(claim: GatewayClaim): Promise<Gateway> {
    const { roomId, datacenter, homeNodeId, mediaNodeId, replacesEpoch } = claim;
    const reply = await claimGateway(...this.#rooms.script(roomId), {
      datacenter,
      homeNodeId,
      mediaNodeId,
      replacesEpoch: String(replacesEpoch ?? ''),
    });
    return readGateway(reply);
  }

  async releaseGateway(
    roomId: RoomId,
    datacenter: DatacenterId,
    homeNodeId: MediaNodeId,
    epoch: Epoch,
  ): Promise<void> {
    await releaseGateway(...this.#rooms.script(roomId), { datacenter, homeNodeId, epoch: String(epoch) });
  }
}
