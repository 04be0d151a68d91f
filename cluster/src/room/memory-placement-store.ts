import { PlenaryError } from '../errors.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import type { EdgeId, MediaNodeId, PeerId, RoomId } from '../protocol/ids.ts';
import type { MemoryRooms } from './memory-rooms.ts';
import type {
  AttachedPeer,
  PreviousPlacement,
  PlaceRequest,
  Placement,
  PlacementStore,
  RoomView,
} from './placement-store.ts';

/** The placements in this process' memory. */
export class MemoryPlacementStore implements PlacementStore {
  readonly #rooms: MemoryRooms;

  constructor(rooms: MemoryRooms) {
    this.#rooms = rooms;
  }

  async view(roomId: RoomId): Promise<RoomView> {
    const room = this.#rooms.find(roomId);
    const peersByNode = new Map<MediaNodeId, number>();
    for (const { mediaNodeId } of room?.placements.values() ?? []) {
      peersByNode.set(mediaNodeId, (peersByNode.get(mediaNodeId) ?? 0) + 1);
    }
    return Promise.resolve({
      occupancy: { peerCount: room?.placements.size ?? 0, peersByNode },
      tracks: [...(room?.tracks.values() ?? [])],
    });
  }

  async placePeer(request: PlaceRequest): Promise<Placement> {
    const room = this.#rooms.find(request.roomId) ?? this.#rooms.anew(request.roomId);
    const existing = room.placements.get(request.peerId);
    if (request.replacesEpoch === undefined) {
      if (existing !== undefined) return existing;
      if (this.#rooms.isRebuilding(room)) throw new PlenaryError('store_unavailable');
      if (room.placements.size >= request.maxPeers) throw new PlenaryError('room_full');
      if (request.subject !== undefined) room.noteSubject(request.peerId, request.subject);
    } else {
      if (existing === undefined) throw new PlenaryError('peer_not_found');
      if (existing.epoch !== request.replacesEpoch) return existing;
      if (request.heldUnder !== undefined && existing.holdEpoch > request.heldUnder) return existing;
    }
    const { keepsEpoch } = request;
    const kept = [existing, room.previousPlacements.get(request.peerId)].find(
      (known) => known?.epoch === keepsEpoch,
    );
    if (keepsEpoch !== undefined && kept === undefined) throw new PlenaryError('stale_epoch');
    const epoch = room.nextEpoch(this.#rooms.nowUs());
    const placement: Placement = {
      peerId: request.peerId,
      mediaNodeId: request.mediaNodeId,
      epoch,
      edgeId: request.edgeId,
      requestId: existing?.requestId ?? request.requestId,
      holdEpoch: epoch,
    };
    room.placements.set(request.peerId, placement);
    if (kept === undefined || keepsEpoch === undefined) room.previousPlacements.delete(request.peerId);
    else room.previousPlacements.set(request.peerId, { mediaNodeId: kept.mediaNodeId, epoch: kept.epoch });
    this.#rooms.keep(request.roomId, room);
    return Promise.resolve(placement);
  }

  async placementOf(roomId: RoomId, peerId: PeerId): Promise<Placement | undefined> {
    return Promise.resolve(this.#rooms.find(roomId)?.placements.get(peerId));
  }

  async previousPlacement(roomId: RoomId, peerId: PeerId): Promise<PreviousPlacement | undefined> {
    return Promise.resolve(this.#rooms.find(roomId)?.previousPlacements.get(peerId));
  }

  async completeMove(roomId: RoomId, peerId: PeerId, epoch: Epoch): Promise<void> {
    const room = this.#rooms.find(roomId);
    if (room?.placements.get(peerId)?.epoch === epoch) room.previousPlacements.delete(peerId);
    return Promise.resolve();
  }

  async attachPeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    edgeId: EdgeId,
    tokenGeneration?: number,
  ): Promise<AttachedPeer> {
    const entry = this.#rooms.find(roomId)?.roster.get(peerId);
    if (entry === undefined) throw new PlenaryError('peer_not_found');
    const { room, placement } = this.#rooms.placed(roomId, peerId, (live) => live === epoch);
    if (tokenGeneration !== undefined) {
      const inUse = room.tokenGenerations.get(peerId) ?? 0;
      if (tokenGeneration < inUse) throw new PlenaryError('token_replayed');
      room.tokenGenerations.set(peerId, tokenGeneration);
    }
    const holdEpoch = room.nextEpoch(this.#rooms.nowUs());
    room.placements.set(peerId, { ...placement, edgeId, holdEpoch });
    const previous = room.previousPlacements.get(peerId);
    const peerCount = room.roster.size;
    return Promise.resolve({ self: entry.peer, sequence: entry.sequence, holdEpoch, previous, peerCount });
  }

  async confirmToken(roomId: RoomId, peerId: PeerId, tokenGeneration: number): Promise<void> {
    const room = this.#rooms.find(roomId);
    if (room?.placements.has(peerId) !== true) return;
    room.tokenGenerations.set(peerId, Math.max(tokenGeneration, room.tokenGenerations.get(peerId) ?? 0));
    await Promise.resolve();
  }

  async all(roomId: RoomId): Promise<readonly Placement[]> {
    return Promise.resolve([...(this.#rooms.find(roomId)?.placements.values() ?? [])]);
  }
}
