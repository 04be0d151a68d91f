import { z } from 'zod';
import type { Epoch } from '../protocol/edge-media.ts';
import type { EdgeId, MediaNodeId, PeerId, RoomId } from '../protocol/ids.ts';
import { OPAQUE_TEXT } from '../protocol/text.ts';
import type {
  AttachedPeer,
  PreviousPlacement,
  PlaceRequest,
  Placement,
  PlacementStore,
  RoomView,
} from '../room/placement-store.ts';
import { readableOnes } from './malformed.ts';
import type { RedisRooms } from './redis-rooms.ts';
import { readAttached, readPrevious, readPlaced, readPlacement, readTracks } from './room-replies.ts';
import { attachPeer, confirmToken, placePeer, completeMove } from './scripts.generated.ts';

const VIEW_REPLY = z.tuple([
  z.tuple([z.null(), z.array(OPAQUE_TEXT)]),
  z.tuple([z.null(), z.record(OPAQUE_TEXT, OPAQUE_TEXT)]),
]);

/** The placements in Redis. */
export class RedisPlacementStore implements PlacementStore {
  readonly #rooms: RedisRooms;

  constructor(rooms: RedisRooms) {
    this.#rooms = rooms;
  }

  async view(roomId: RoomId): Promise<RoomView> {
    const { placements: placementsKey, tracks } = this.#rooms.keys(roomId);
    const reply = await this.#rooms.ask(roomId, placementsKey, async () => {
      const replies = await this.#rooms.redis.multi().hvals(placementsKey).hgetall(tracks).exec();
      const refused = replies?.find(([error]) => error !== null)?.[0];
      if (refused) throw refused;
      return replies;
    });
    const [[, placed], [, tracksById]] = VIEW_REPLY.parse(reply);
    const peersByNode = new Map<MediaNodeId, number>();
    const placements = this.#readPlacements(placed.map((value) => ['counted', value]));
    for (const { mediaNodeId } of placements)
      peersByNode.set(mediaNodeId, (peersByNode.get(mediaNodeId) ?? 0) + 1);
    return {
      occupancy: { peerCount: placements.length, peersByNode },
      tracks: readTracks(Object.entries(tracksById), this.#rooms.report),
    };
  }

  async placePeer(request: PlaceRequest): Promise<Placement> {
    const reply = await placePeer(...this.#rooms.script(request.roomId), {
      peerId: request.peerId,
      requestId: request.requestId,
      edgeId: request.edgeId,
      mediaNodeId: request.mediaNodeId,
      replacesEpoch: String(request.replacesEpoch ?? ''),
      maxPeers: String(request.maxPeers),
      keepsEpoch: String(request.keepsEpoch ?? ''),
      heldUnder: String(request.heldUnder ?? ''),
      subject: request.subject?.digest ?? '',
      maxPeersOfSubject: String(request.subject?.maxPeers ?? ''),
    });
    return readPlaced(request.peerId, reply);
  }

  async placementOf(roomId: RoomId, peerId: PeerId): Promise<Placement | undefined> {
    const { placements } = this.#rooms.keys(roomId);
    const value = await this.#rooms.ask(roomId, placements, async () =>
      this.#rooms.redis.hget(placements, peerId),
    );
    return value === null ? undefined : this.#readPlacements([[peerId, value]])[0];
  }

  async previousPlacement(roomId: RoomId, peerId: PeerId): Promise<PreviousPlacement | undefined> {
    const { meta } = this.#rooms.keys(roomId);
    const value = await this.#rooms.ask(roomId, meta, async () =>
      this.#rooms.redis.hget(meta, `previous|${peerId}`),
    );
    return value === null ? undefined : readPrevious(value, this.#rooms.report);
  }

  async completeMove(roomId: RoomId, peerId: PeerId, epoch: Epoch): Promise<void> {
    await completeMove(...this.#rooms.script(roomId), { peerId, epoch: String(epoch) });
  }

  async attachPeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    edgeId: EdgeId,
    tokenGeneration?: number,
  ): Promise<AttachedPeer> {
    const reply = await attachPeer(...this.#rooms.script(roomId), {
      peerId,
      epoch: String(epoch),
      edgeId,
      tokenGeneration: String(tokenGeneration ?? ''),
    });
    return readAttached(peerId, reply, this.#rooms.report);
  }

  async confirmToken(roomId: RoomId, peerId: PeerId, tokenGeneration: number): Promise<void> {
    await confirmToken(...this.#rooms.script(roomId), { peerId, tokenGeneration: String(tokenGeneration) });
  }

  async all(roomId: RoomId): Promise<readonly Placement[]> {
    const { placements } = this.#rooms.keys(roomId);
    const all = await this.#rooms.ask(roomId, placements, async () => this.#rooms.redis.hgetall(placements));
    return this.#readPlacements(Object.entries(all));
  }

  #readPlacements(values: readonly (readonly [peerId: string, value: string])[]): Placement[] {
    return readableOnes(this.#rooms.report, 'placement', values, ([peerId, value]) =>
      readPlacement(peerId, value),
    );
  }
}
