/**
 * What is shared of a room: where its peers live, who they are, which tracks exist, what was said, and the log that
 * orders all of it. Every method is one atomic change of one room. SPEC PL, EP, LG.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { EDGE_ID, MEDIA_NODE_ID, PEER_ID, REQUEST_ID } from '../protocol/ids.ts';
import type {
  DatacenterId,
  EdgeId,
  EventId,
  MediaNodeId,
  PeerId,
  RequestId,
  RoomId,
  TrackId,
} from '../protocol/ids.ts';
import { ROOM_TRACK } from '../protocol/room.ts';
import type {
  ChatMessage,
  LeaveReason,
  LoggedEvent,
  Role,
  RoomSnapshot,
  RosterPeer,
  TrackEndReason,
} from '../protocol/room.ts';

/** Where a peer lives. Exactly one placement of a peer is live; its epoch only grows (EP1). */
export const PLACEMENT = z.object({
  peerId: PEER_ID,
  mediaNodeId: MEDIA_NODE_ID,
  epoch: EPOCH,
  /** The edge that holds, or last held, the peer's session. */
  edgeId: EDGE_ID,
  /** Of the `join` that made the peer; a repeat of it finds the peer again. */
  requestId: REQUEST_ID,
  /** Grows each time that the peer is placed or its session taken up: of two edges, the later one holds it (RC3). */
  holdEpoch: EPOCH,
});
export type Placement = z.infer<typeof PLACEMENT>;

/** Where a peer that is being moved goes on until it has moved (EP7). */
export const FORMER_PLACEMENT = PLACEMENT.pick({ mediaNodeId: true, epoch: true });
export type FormerPlacement = z.infer<typeof FORMER_PLACEMENT>;

/**
 * Which node of a datacenter pulls the tracks of one node elsewhere, and hands them on to the others of its datacenter, so
 * that one copy crosses between the datacenters (GW1).
 */
export const GATEWAY = z.object({ mediaNodeId: MEDIA_NODE_ID, epoch: EPOCH });
export type Gateway = z.infer<typeof GATEWAY>;

export interface GatewayClaim {
  readonly roomId: RoomId;
  /** Where the tracks are wanted. */
  readonly datacenter: DatacenterId;
  /** Where the tracks live. */
  readonly homeNodeId: MediaNodeId;
  /** Who would be the gateway. */
  readonly mediaNodeId: MediaNodeId;
  /** The claim that failed the caller; absent for a first claim, which then yields to one that exists. */
  readonly replacesEpoch?: Epoch;
}

/** A track as the store keeps it: with its home, which clients need not know. */
export const STORED_TRACK = ROOM_TRACK.extend({ homeNodeId: MEDIA_NODE_ID, epoch: EPOCH });
export type StoredTrack = z.infer<typeof STORED_TRACK>;

export interface PlaceRequest {
  readonly roomId: RoomId;
  readonly peerId: PeerId;
  readonly requestId: RequestId;
  readonly edgeId: EdgeId;
  /** What the ladder chose. */
  readonly mediaNodeId: MediaNodeId;
  /** The epoch this placement replaces; absent for a first placement, which then yields to one that exists. */
  readonly replacesEpoch?: Epoch;
  /** The newest hold of the session that the caller knows of: whose session was taken up since is placed by who took it (SE4). */
  readonly heldUnder?: Epoch;
  /**
   * The placement that goes on beside the new one until {@link RoomStore.settlePeer}: the replaced one, or the former one
   * that it left on. Absent where the peer does not live any more.
   */
  readonly keepsEpoch?: Epoch;
  /** Refuse with `room_full` beyond this many peers. */
  readonly maxPeers: number;
  /** Refuse a first placement with `joined_too_often` beyond this many peers of one person (SPEC TK11). */
  readonly subject?: {
    /** Names the person by letters, digits, `_` and `-`. */
    readonly digest: string;
    readonly maxPeers: number;
  };
}

/** The room as the ladder sees it. */
export interface RoomOccupancy {
  readonly peerCount: number;
  readonly peersByNode: ReadonlyMap<MediaNodeId, number>;
}

/** What a placing edge reads of a room beforehand. */
export interface RoomView {
  readonly occupancy: RoomOccupancy;
  readonly tracks: readonly StoredTrack[];
}

export interface ChatPost {
  readonly roomId: RoomId;
  readonly peerId: PeerId;
  readonly requestId: RequestId;
  readonly text: string;
}

/** How long a room that lost writes counts as being rebuilt, in milliseconds: twice {@link REPUBLISH_INTERVAL_MS}. */
export const ROOM_REBUILD_MS = 3_000;
/** How often owners publish again what they own, in milliseconds. */
export const REPUBLISH_INTERVAL_MS = 1_500;

/**
 * Peers that left and tracks that ended, at most, that a room remembers so that no owner brings them back (SPEC RC4). In Redis
 * the older half goes at once (`lua/includes/tombstones.lua`).
 */
export const MAX_TOMBSTONES = 2_000;

/**
 * Rooms that an owner publishes at a time. With 500 rooms and a store 30 ms away all of them are through in half a second,
 * well within the {@link REPUBLISH_INTERVAL_MS} that rebuilding counts on (SPEC RC2).
 */
export const ROOMS_REPUBLISHED_AT_ONCE = 32;
/** How long the log of a room stays whose last peer was put out, in milliseconds. */
export const FAREWELL_KEPT_MS = 15_000;
/** How long the keys of a room stay that no edge keeps, in milliseconds. */
export const ROOM_KEPT_MS = 600_000;

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
  readonly former?: FormerPlacement | undefined;
  /** Its place in the roster. */
  readonly sequence: number;
  readonly joinedAtMs: number;
  readonly role: Role;
  readonly displayName: string;
}

/**
 * Why a peer was not published again: another edge took its session up later (`moved`), or it was removed (`gone`).
 */
export const PEER_FATE = z.enum(['moved', 'gone']);
export type PeerFate = z.infer<typeof PEER_FATE>;

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
  readonly fates: readonly { readonly peerId: PeerId; readonly fate: PeerFate }[];
  /** Placements of this edge that it did not name. */
  readonly strangers: readonly Placement[];
}

/**
 * Why a track was not published again: its peer is not placed (`unplaced`) or is placed anew since (`stale`), or the room's
 * log tells that somebody ended it (`ended`).
 */
export const TRACK_FATE = z.enum(['unplaced', 'stale', 'ended']);
export type TrackFate = z.infer<typeof TRACK_FATE>;

export interface RepublishedTracks {
  /** Of the named tracks, those that were lost. */
  readonly lostTracks: number;
  readonly events: LoggedEvent[];
  readonly fates: readonly { readonly trackId: TrackId; readonly fate: TrackFate }[];
  /** Tracks of this node that it did not name. */
  readonly strangers: readonly TrackId[];
}

/** Whether a room is there, and whether all who own a part of it had the time to publish it (RC2). */
export const ROOM_STANDING = z.enum(['absent', 'rebuilding', 'whole']);
export type RoomStanding = z.infer<typeof ROOM_STANDING>;

export type CatchUp =
  | { readonly type: 'events'; readonly events: LoggedEvent[] }
  | { readonly type: 'snapshot'; readonly room: RoomSnapshot };

/** A peer whose session an edge took up. */
export interface AttachedPeer {
  readonly self: RosterPeer;
  /** Its place in the roster. */
  readonly sequence: number;
  readonly holdEpoch: Epoch;
  /** Where it goes on beside, until it has moved. */
  readonly former: FormerPlacement | undefined;
  /** In the whole room. */
  readonly peerCount: number;
}

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface RoomStore {
  /** What the ladder and a join need to know of a room; an unknown room is an empty one. */
  view(roomId: RoomId): Promise<RoomView>;

  /**
   * Places a peer, or moves it to another node under a higher epoch. Of several callers at once all get one answer:
   * a first placement yields to an existing one, and a replacement of an epoch that is no longer the live one, or by who no
   * longer holds the session, yields to the live one (PL3, EP1, SE4).
   * @returns the live placement, whoever made it
   * @throws PlenaryError `room_full`; `store_unavailable` for a first placement while the room is being rebuilt;
   *   `peer_not_found` when `replacesEpoch` is given and the peer is gone; `stale_epoch` when `keepsEpoch` is neither that
   *   of the live placement nor that of the former one
   */
  placePeer(request: PlaceRequest): Promise<Placement>;

  /** The live placement of a peer, if it has one. */
  placementOf(roomId: RoomId, peerId: PeerId): Promise<Placement | undefined>;

  /** The placement that a peer which is being moved has beside its live one, if it has one (EP7). */
  formerPlacement(roomId: RoomId, peerId: PeerId): Promise<FormerPlacement | undefined>;

  /** Notes that a peer has moved: its former placement is forgotten, unless another than `epoch` is live. */
  settlePeer(roomId: RoomId, peerId: PeerId, epoch: Epoch): Promise<void>;

  /**
   * Enters a placed peer into the roster. A peer that is in it already stays as it is.
   * @returns the room with the peer in it, the event, if the peer is new, and which generation of its session tokens is in
   *   use: 0 until one was used or confirmed
   * @throws PlenaryError `stale_epoch` when the placement is not of this epoch; `peer_not_found`; `store_unavailable` while
   *   the room is being rebuilt
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
   * Notes that another edge now holds the peer's session, and that the session token of this generation is in use (SK2).
   * @param tokenGeneration - absent where no session token was brought
   * @throws PlenaryError `peer_not_found`, `stale_epoch`; `token_replayed` when a newer token is in use
   */
  attachPeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    edgeId: EdgeId,
    tokenGeneration?: number,
  ): Promise<AttachedPeer>;

  /** Notes that the client has the session token of this generation; nothing changes where a newer one is in use. */
  confirmToken(roomId: RoomId, peerId: PeerId, tokenGeneration: number): Promise<void>;

  /**
   * Removes a peer with its placement and its tracks, when its placement is not newer than `epoch`. The last one to go
   * takes the whole room with it: no key remains (LG4), but for the log of whom another than its holder put out: it stays
   * for {@link FAREWELL_KEPT_MS}, so that the holder learns of it (RC4).
   * @param heldUnder - the newest hold of the session that the caller knows of: who took it up since, on whichever edge, keeps
   *   it (SE4)
   */
  removePeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    reason: LeaveReason,
    heldUnder?: Epoch,
  ): Promise<LoggedEvent[]>;

  /**
   * Publishes a track, or publishes it again as it is now. `replaces` is kept where it names a track of the same peer and
   * source that exists.
   * @throws PlenaryError `stale_epoch`, `peer_not_found`
   */
  publishTrack(roomId: RoomId, track: StoredTrack): Promise<LoggedEvent[]>;

  /** Notes the publisher's mute. A track that is gone, or a state it has already, changes nothing. */
  setTrackPaused(roomId: RoomId, trackId: TrackId, paused: boolean): Promise<LoggedEvent[]>;

  /** Removes tracks; those that are gone change nothing. */
  endTracks(roomId: RoomId, trackIds: readonly TrackId[], reason: TrackEndReason): Promise<LoggedEvent[]>;

  /** The named tracks that exist. */
  tracks(roomId: RoomId, trackIds: readonly TrackId[]): Promise<readonly StoredTrack[]>;

  /** Posts a message; one of the same peer and requestId among the last ones is returned and not posted twice. */
  postChat(post: ChatPost): Promise<{ readonly message: ChatMessage; readonly events: LoggedEvent[] }>;

  /**
   * The roster after a cursor, `ROSTER_PAGE_SIZE` at a time, by time of joining.
   * @param cursor - of the page before, or empty for the first page
   * @throws PlenaryError `malformed_message` for a text that no page gave
   */
  rosterPage(
    roomId: RoomId,
    cursor: string,
  ): Promise<{ readonly peers: RosterPeer[]; readonly nextCursor?: string }>;

  /** What happened after an event, if the log still has all of it, and it is not too much for one message (LG3). */
  eventsAfter(roomId: RoomId, afterEventId: EventId): Promise<LoggedEvent[] | undefined>;

  /** The room as it is now; nothing while it is being rebuilt (RC2). */
  snapshot(roomId: RoomId): Promise<RoomSnapshot | undefined>;

  /** The id of a room's last event; `0-0` for a room that is not there. */
  lastEventId(roomId: RoomId): Promise<EventId>;

  /**
   * Claims to be a datacenter's gateway to a node elsewhere. Of several callers at once all get one answer: a first claim
   * yields to an existing one, and a replacement of a claim that is no longer the live one yields to the live one. A claim
   * goes with the room, or by {@link releaseGateway}.
   * @returns the live gateway, whoever it is
   * @throws PlenaryError `peer_not_found` when nobody is in the room
   */
  claimGateway(claim: GatewayClaim): Promise<Gateway>;

  /** Gives a claim up, unless another one took its place meanwhile. */
  releaseGateway(
    roomId: RoomId,
    datacenter: DatacenterId,
    homeNodeId: MediaNodeId,
    epoch: Epoch,
  ): Promise<void>;

  /**
   * Publishes the peers again whose sessions an edge holds: what the room lost of them is written again, without an event;
   * what it knows better stays (RC1). Where a peer goes on beside its placement is as the edge says: a move that was
   * settled while the store was away ends by it. Where anything was lost the room is being rebuilt for {@link ROOM_REBUILD_MS}, and
   * its order goes on above `knownEventId` (RC2). Keeps the room's keys (RC6).
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

  standing(roomId: RoomId): Promise<RoomStanding>;

  /** All placements of a room, for the sweep of peers whose edge and node are both gone. */
  placements(roomId: RoomId): Promise<readonly Placement[]>;
}

/** The place in the roster that a cursor names. @throws PlenaryError `malformed_message` for a text that no page gave */
export function sequenceOfCursor(cursor: string): number {
  if (!/^\d{0,15}$/.test(cursor))
    throw new PlenaryError('malformed_message', 'cursor: is of no page of a roster');
  return Number(cursor);
}

/** The id of a chat message: the same for each repeat of one request of one peer (LG5). */
export function chatMessageId(post: Pick<ChatPost, 'peerId' | 'requestId'>): string {
  return createHash('sha256').update(`${post.peerId}|${post.requestId}`).digest('base64url').slice(0, 22);
}
