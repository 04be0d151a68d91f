/**
 * The ordered events of a room and the state that they lead to: roster, tracks, chat. Every method is one atomic change
 * of one room. SPEC LG.
 */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { MEDIA_NODE_ID } from '../protocol/ids.ts';
import type { EventId, PeerId, RequestId, RoomId, TrackId } from '../protocol/ids.ts';
import { ROOM_TRACK } from '../protocol/room.ts';
import type {
  CarriedEvent,
  ChatMessage,
  LeaveReason,
  LoggedEvent,
  Role,
  RoomSnapshot,
  RosterPeer,
  TrackEndReason,
} from '../protocol/room.ts';

/** A track as the store keeps it: with its home, which clients do not need. */
export const STORED_TRACK = ROOM_TRACK.extend({ homeNodeId: MEDIA_NODE_ID, epoch: EPOCH });

export type StoredTrack = z.infer<typeof STORED_TRACK>;

export interface ChatPost {
  readonly roomId: RoomId;
  readonly peerId: PeerId;
  readonly requestId: RequestId;
  readonly text: string;
}

export type CatchUp =
  | { readonly type: 'events'; readonly events: CarriedEvent[] }
  | { readonly type: 'snapshot'; readonly room: RoomSnapshot };

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface RoomLog {
  /**
   * Adds a placed peer to the roster. A peer already in the roster stays as it is.
   * @returns the room with the peer in it; the event, if the peer is new; and the generation of its session tokens in
   * use, 0 until one was used or confirmed
   * @throws PlenaryError `stale_epoch` when the placement is not of this epoch; `peer_not_found`; `store_unavailable`
   * while the room is being rebuilt
   */
  joinPeer(
    roomId: RoomId,
    peer: { readonly peerId: PeerId; readonly displayName: string; readonly role: Role },
    epoch: Epoch,
  ): Promise<{
    readonly snapshot: RoomSnapshot;
    readonly self: RosterPeer;
    readonly events: LoggedEvent[];
    readonly tokenGeneration: number;
    /** Its place in the roster. */
    readonly sequence: number;
  }>;

  /**
   * Removes a peer with its placement, its tracks and its entries, unless its placement is newer than `epoch`. When the
   * last peer goes, the store removes the whole room and no key remains (LG4). One exception: if somebody other than
   * its holder removed that peer, the log stays for {@link FAREWELL_KEPT_MS}, so that the holder learns of the removal
   * (RC4).
   * @param knownHoldEpoch - the newest hold of the session that the caller knows; an edge that resumed the session
   * since keeps the peer (SE28)
   */
  removePeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    reason: LeaveReason,
    knownHoldEpoch?: Epoch,
  ): Promise<LoggedEvent[]>;

  /**
   * Publishes a track, or updates it to its present state. `replaces` is kept only if it names an existing track of the
   * same peer and source.
   * @throws PlenaryError `stale_epoch`, `peer_not_found`
   */
  publishTrack(roomId: RoomId, track: StoredTrack): Promise<LoggedEvent[]>;

  /** Notes the publisher's mute. Changes nothing if the track is gone or is already in that state. */
  setTrackPaused(roomId: RoomId, trackId: TrackId, paused: boolean): Promise<LoggedEvent[]>;

  /** Removes tracks; ignores those that are already gone. */
  endTracks(roomId: RoomId, trackIds: readonly TrackId[], reason: TrackEndReason): Promise<LoggedEvent[]>;

  /** The named tracks that exist. */
  tracks(roomId: RoomId, trackIds: readonly TrackId[]): Promise<readonly StoredTrack[]>;

  /**
   * Posts a message. A repeat of the same peer and requestId among the last messages returns the first one and posts
   * nothing.
   */
  postChat(post: ChatPost): Promise<{ readonly message: ChatMessage; readonly events: LoggedEvent[] }>;

  /**
   * The roster after a cursor, `ROSTER_PAGE_SIZE` peers at a time, by time of joining.
   * @param cursor - from the page before, or empty for the first page
   * @throws PlenaryError `malformed_message` for a text that is not a cursor
   */
  rosterPage(
    roomId: RoomId,
    cursor: string,
  ): Promise<{ readonly peers: RosterPeer[]; readonly nextCursor?: string }>;

  /** The events after the given one, if the log still has all of them and they fit into one message (LG3, LG9). */
  eventsAfter(roomId: RoomId, afterEventId: EventId): Promise<CarriedEvent[] | undefined>;

  /** The room as it is now; nothing while it is being rebuilt (RC2). */
  snapshot(roomId: RoomId): Promise<RoomSnapshot | undefined>;

  /** The id of a room's last event; `0-0` for a room that does not exist. */
  lastEventId(roomId: RoomId): Promise<EventId>;
}

/** The roster position that a cursor names. @throws PlenaryError `malformed_message` for a text that is not a cursor */
export function sequenceOfCursor(cursor: string): number {
  if (!/^\d{0,15}$/.test(cursor))
    throw new PlenaryError('malformed_message', 'cursor: no page of a roster has it');
  return Number(cursor);
}

/**
 * The id of a chat message: identical for every repeat of one request of one peer (LG5, LG12). The same function for browsers is
 * `chatMessageId` in `web/src/client/chat-message-id.ts`; both must return the same id.
 */
export function chatMessageId(post: Pick<ChatPost, 'peerId' | 'requestId'>): string {
  return createHash('sha256').update(`${post.peerId}|${post.requestId}`).digest('base64url').slice(0, 22);
}
