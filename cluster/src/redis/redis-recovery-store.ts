import type { EdgeId, EventId, MediaNodeId, RoomId } from '../protocol/ids.ts';
import type {
  HeldPeer,
  RecoveryStore,
  RepublishedPeers,
  RepublishedTracks,
  RoomStatus,
} from '../room/recovery-store.ts';
import type { StoredTrack } from '../room/room-log.ts';
import type { RedisRooms } from './redis-rooms.ts';
import {
  heldPeerRecord,
  readRepublishedPeers,
  readRepublishedTracks,
  readStatus,
  trackValue,
} from './room-replies.ts';
import { republishPeers, republishTracks, roomStatus } from './scripts.generated.ts';

/** Separates the records in one argument; no name may contain it. */
const RECORD_SEPARATOR = '\u001e';

/** The recovery store in Redis. */
export class RedisRecoveryStore implements RecoveryStore {
  readonly #rooms: RedisRooms;

  constructor(rooms: RedisRooms) {
    this.#rooms = rooms;
  }

  async republishPeers(
    roomId: RoomId,
    edgeId: EdgeId,
    peers: readonly HeldPeer[],
    knownEventId: EventId,
  ): Promise<RepublishedPeers> {
    const reply = await republishPeers(...this.#rooms.script(roomId), {
      edgeId,
      knownEventId,
      peers: peers.map(heldPeerRecord).join(RECORD_SEPARATOR),
    });
    return readRepublishedPeers(reply, this.#rooms.report);
  }

  async republishTracks(
    roomId: RoomId,
    homeNodeId: MediaNodeId,
    tracks: readonly StoredTrack[],
  ): Promise<RepublishedTracks> {
    const reply = await republishTracks(...this.#rooms.script(roomId), {
      homeNodeId,
      tracks: tracks.map((track) => `${track.trackId}|${trackValue(track)}`).join(RECORD_SEPARATOR),
    });
    return readRepublishedTracks(reply, this.#rooms.report);
  }

  async statusOf(roomId: RoomId): Promise<RoomStatus> {
    return readStatus(await roomStatus(...this.#rooms.script(roomId)));
  }
}
