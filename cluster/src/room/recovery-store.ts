/** How a room that lost writes becomes whole: its owners publish again what they own. SPEC RC. */
import { z } from 'zod';
import type { Epoch } from '../protocol/edge-media.ts';
import type { EdgeId, EventId, MediaNodeId, PeerId, RequestId, RoomId, TrackId } from '../protocol/ids.ts';
import type { LoggedEvent, Role } from '../protocol/room.ts';
import type { PreviousPlacement, Placement } from './placement-store.ts';
import type { EntriesDigest } from './room-entries.ts';
import type { StoredTrack } from './room-log.ts';

/**
 * Rooms that an owner publishes at a time. With 500 rooms and a store 30 ms away all of them are through in half a second,
 * well within the {@link REPUBLISH_INTERVAL_MS} that rebuilding counts on (SPEC RC16).
 */
export const ROOMS_REPUBLISHED_AT_ONCE = 32;

/** A peer as the edge that holds its session knows it. */
export interface HeldPeer {
  readonly peerId: PeerId;
  readonly epoch: Epoch;
  readonly holdEpoch: Epoch;
  readonly mediaNodeId: MediaNodeId;
  readonly requestId: RequestId;
  /** Which generation of its session tokens is in use at least. */
  readonly tokenGeneration: number;
  /** Where it goes on beside, until it has moved. */
  readonly previous?: PreviousPlacement | undefined;
  /** Its place in the roster. */
  readonly sequence: number;
  readonly joinedAtMs: number;
  readonly role: Role;
  readonly displayName: string;
}

/**
 * Why a peer was not published again: another edge took its session up later (`moved`), or it was removed (`gone`).
 */
export const PEER_VERDICT = z.enum(['moved', 'gone']);

export type PeerVerdict = z.infer<typeof PEER_VERDICT>;

export interface RepublishedPeers {
  readonly lastEventId: EventId;
  /** Others may still have to publish what is theirs: what can be read of the room is not the truth yet. */
  readonly isRebuilding: boolean;
  /** Of the named peers, those of which something was lost. */
  readonly lostPeers: number;
  /** Whether events are lost that the edge knows. */
  readonly hasLostEvents: boolean;
  /** Everybody in the room. */
  readonly peerCount: number;
  /** By which an edge finds out whether it knows the same entries as the store (RE6). */
  readonly entries: EntriesDigest;
  readonly verdicts: readonly { readonly peerId: PeerId; readonly verdict: PeerVerdict }[];
  /** Placements of this edge that it did not name. */
  readonly unlisted: readonly Placement[];
}

/**
 * Why a track was not published again: its peer is not placed (`unplaced`) or is placed anew since (`stale`), or the room's
 * log tells that somebody ended it (`ended`).
 */
export const TRACK_VERDICT = z.enum(['unplaced', 'stale', 'ended']);

export type TrackVerdict = z.infer<typeof TRACK_VERDICT>;

export interface RepublishedTracks {
  /** Of the named tracks, those that were lost. */
  readonly lostTracks: number;
  readonly events: LoggedEvent[];
  readonly verdicts: readonly { readonly trackId: TrackId; readonly verdict: TrackVerdict }[];
  /** Tracks of this node that it did not name. */
  readonly unlisted: readonly TrackId[];
}

/** Whether a room is there, and whether all who own a part of it had the time to publish it (RC2). */
export const ROOM_STANDING = z.enum(['absent', 'rebuilding', 'whole']);

export type RoomStanding = z.infer<typeof ROOM_STANDING>;

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface RecoveryStore {
  /**
   * Publishes the peers again whose sessions an edge holds: what the room lost of them is written again, without an event;
   * what it knows better stays (RC1). Where a peer goes on beside its placement is as the edge says: a move that was
   * settled while the store was away ends by it. Where anything was lost the room is being rebuilt for {@link ROOM_REBUILD_MS}, and
   * its order goes on above `knownEventId` (RC2, RC13). Keeps the room's keys (RC6).
   * @param knownEventId - the newest id that the edge knows
   */
  republishPeers(
    roomId: RoomId,
    edgeId: EdgeId,
    peers: readonly HeldPeer[],
    knownEventId: EventId,
  ): Promise<RepublishedPeers>;

  /** The same for the tracks that a media node hosts. A mute that was lost is made again, with its event. */
  republishTracks(
    roomId: RoomId,
    homeNodeId: MediaNodeId,
    tracks: readonly StoredTrack[],
  ): Promise<RepublishedTracks>;

  /** Whether the room is there, and whether it is being rebuilt (RC2). */
  standing(roomId: RoomId): Promise<RoomStanding>;
}
