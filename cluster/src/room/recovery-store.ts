/** Restores a room that lost writes: its owners republish what they own. SPEC RC. */
import { z } from 'zod';
import type { Epoch } from '../protocol/edge-media.ts';
import type { EdgeId, EventId, MediaNodeId, PeerId, RequestId, RoomId, TrackId } from '../protocol/ids.ts';
import type { LoggedEvent, Role } from '../protocol/room.ts';
import type { PreviousPlacement, Placement } from './placement-store.ts';
import type { EntriesDigest } from './room-entries.ts';
import type { StoredTrack } from './room-log.ts';

/**
 * Rooms that an owner republishes at a time. With 500 rooms and a store 30 ms away, all of them are done in half a
 * second, well within the {@link REPUBLISH_INTERVAL_MS} that rebuilding counts on (SPEC RC16).
 */
export const ROOMS_REPUBLISHED_AT_ONCE = 32;

/** A peer as the edge that holds its session knows it. */
export interface HeldPeer {
  readonly peerId: PeerId;
  readonly epoch: Epoch;
  readonly holdEpoch: Epoch;
  readonly mediaNodeId: MediaNodeId;
  readonly requestId: RequestId;
  /** A lower bound of the generation of its session tokens in use. */
  readonly tokenGeneration: number;
  /** The previous placement of an unfinished move. */
  readonly previous?: PreviousPlacement | undefined;
  /** Its place in the roster. */
  readonly sequence: number;
  readonly joinedAtMs: number;
  readonly role: Role;
  readonly displayName: string;
}

/** Why a peer was not republished: another edge resumed its session later (`moved`), or it was removed (`gone`). */
export const PEER_VERDICT = z.enum(['moved', 'gone']);

export type PeerVerdict = z.infer<typeof PEER_VERDICT>;

export interface RepublishedPeers {
  readonly lastEventId: EventId;
  /** Other owners may still have to republish their part: what the room shows now is incomplete. */
  readonly isRebuilding: boolean;
  /** How many of the named peers had lost something. */
  readonly lostPeers: number;
  /** Whether the store lost events that the edge knows. */
  readonly hasLostEvents: boolean;
  /** All peers in the room. */
  readonly peerCount: number;
  /** Lets an edge find out whether it knows the same entries as the store (RE6). */
  readonly entries: EntriesDigest;
  readonly verdicts: readonly { readonly peerId: PeerId; readonly verdict: PeerVerdict }[];
  /** Placements of this edge that the edge did not name. */
  readonly unlisted: readonly Placement[];
}

/**
 * Why a track was not republished: its peer is not placed (`unplaced`) or was placed again since (`stale`), or a
 * tombstone says that somebody ended the track (`ended`).
 */
export const TRACK_VERDICT = z.enum(['unplaced', 'stale', 'ended']);

export type TrackVerdict = z.infer<typeof TRACK_VERDICT>;

export interface RepublishedTracks {
  /** How many of the named tracks were lost. */
  readonly lostTracks: number;
  readonly events: LoggedEvent[];
  readonly verdicts: readonly { readonly trackId: TrackId; readonly verdict: TrackVerdict }[];
  /** Tracks of this node that the node did not name. */
  readonly unlisted: readonly TrackId[];
}

/** Whether a room exists, and whether all owners of a part of it had the time to republish that part (RC2). */
export const ROOM_STATUS = z.enum(['absent', 'rebuilding', 'whole']);

export type RoomStatus = z.infer<typeof ROOM_STATUS>;

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface RecoveryStore {
  /**
   * Republishes the peers whose sessions an edge holds. Writes what the room lost of them, without an event; keeps what
   * the room knows better (RC1). The edge decides whether a peer has a previous placement, so a move that was completed
   * while the store was down ends here. If anything was lost, the room is being rebuilt for {@link ROOM_REBUILD_MS},
   * and its order continues above `knownEventId` (RC2, RC13). Keeps the room's keys (RC6).
   * @param knownEventId - the newest id that the edge knows
   */
  republishPeers(
    roomId: RoomId,
    edgeId: EdgeId,
    peers: readonly HeldPeer[],
    knownEventId: EventId,
  ): Promise<RepublishedPeers>;

  /** Republishes the tracks that a media node hosts, in the same way. Repeats a mute that was lost, with its event. */
  republishTracks(
    roomId: RoomId,
    homeNodeId: MediaNodeId,
    tracks: readonly StoredTrack[],
  ): Promise<RepublishedTracks>;

  /** Whether the room exists, and whether it is being rebuilt (RC2). */
  statusOf(roomId: RoomId): Promise<RoomStatus>;
}
