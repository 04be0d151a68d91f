import type { EdgeId, EventId, MediaNodeId, RoomId } from '../protocol/ids.ts';
import type {
  HeldPeer,
  RecoveryStore,
  RepublishedPeers,
  RepublishedTracks,
  RoomStanding,
} from '../room/recovery-store.ts';
import type { StoredTrack } from '../room/room-log.ts';
import type { RedisRooms } from './redis-rooms.ts';
import {
  heldPeerRecord,
  readRepublishedPeers,
  readRepublishedTracks,
  readStanding,
  trackValue,
} from './room-replies.ts';
import { republishPeers, republishTracks, roomStanding } from './scripts.generated.ts';

/** Parts the records of one argument; no name may hold it. */
const RECORD_SEPARATOR = '\u001e';

/** The recovery of rooms in Redis. */
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

  async standing(roomId: RoomId): Promise<RoomStanding> {
    return readStanding(await roomStanding(...this.#rooms.script(roomId)));
  }
}
