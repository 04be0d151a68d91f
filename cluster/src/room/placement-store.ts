/**
 * On which media node each peer of a room is placed, and which edge holds its session. Every method is one atomic
 * change of one room. SPEC PL, EP, SE.
 */
import { z } from 'zod';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { EDGE_ID, MEDIA_NODE_ID, PEER_ID, REQUEST_ID } from '../protocol/ids.ts';
import type { EdgeId, MediaNodeId, PeerId, RequestId, RoomId } from '../protocol/ids.ts';
import type { RosterPeer } from '../protocol/room.ts';
import type { StoredTrack } from './room-log.ts';

/** The media node and the edge of a peer. A peer has exactly one live placement; its epoch only grows (EP1). */
export const PLACEMENT = z.object({
  peerId: PEER_ID,
  mediaNodeId: MEDIA_NODE_ID,
  epoch: EPOCH,
  /** The edge that holds, or last held, the peer's session. */
  edgeId: EDGE_ID,
  /** The request id of the `join` that made the peer; a repeated join with this id finds the peer again. */
  requestId: REQUEST_ID,
  /**
   * Grows each time the peer is placed or an edge resumes its session: of two edges, the later one holds the session
   * (RC17).
   */
  holdEpoch: EPOCH,
});

export type Placement = z.infer<typeof PLACEMENT>;

/** The placement that a moving peer keeps using until its move is complete (EP7). */
export const PREVIOUS_PLACEMENT = PLACEMENT.pick({ mediaNodeId: true, epoch: true });

export type PreviousPlacement = z.infer<typeof PREVIOUS_PLACEMENT>;

export interface PlaceRequest {
  readonly roomId: RoomId;
  readonly peerId: PeerId;
  readonly requestId: RequestId;
  readonly edgeId: EdgeId;
  /** The node that the placement ladder chose. */
  readonly mediaNodeId: MediaNodeId;
  /** The epoch this placement replaces; absent for a first placement, which then yields to one that exists. */
  readonly replacesEpoch?: Epoch;
  /**
   * The newest hold of the session that the caller knows. If another edge resumed the session since, only that edge may
   * place the peer (SE28).
   */
  readonly knownHoldEpoch?: Epoch;
  /**
   * The placement that stays usable beside the new one until {@link PlacementStore.completeMove}: the replaced one, or
   * the previous one of an unfinished move. Absent where the peer has no working transports left.
   */
  readonly keepsEpoch?: Epoch;
  /** Refuse with `room_full` beyond this many peers. Each edge passes its own setting, so all edges should have the same. */
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

/** A peer whose session an edge resumed. */
export interface AttachedPeer {
  readonly self: RosterPeer;
  /** Its place in the roster. */
  readonly sequence: number;
  readonly holdEpoch: Epoch;
  /** The previous placement of an unfinished move. */
  readonly previous: PreviousPlacement | undefined;
  /** Peers in the whole room. */
  readonly peerCount: number;
}

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface PlacementStore {
  /** Reads what the placement ladder and a join need; an unknown room reads as an empty one. */
  view(roomId: RoomId): Promise<RoomView>;

  /**
   * Places a peer, or moves it to another node under a higher epoch. Concurrent callers all get the same answer: a
   * first placement yields to an existing one. A replacement yields to the live placement if it names an epoch that is
   * no longer live, or if its caller no longer holds the session (PL3, EP8, SE28).
   * @returns the live placement, whoever made it
   * @throws PlenaryError `room_full`; `store_unavailable` for a first placement while the room is being rebuilt;
   * `peer_not_found` when `replacesEpoch` is given and the peer is gone; `stale_epoch` when `keepsEpoch` is neither
   * that of the live placement nor that of the previous one
   */
  placePeer(request: PlaceRequest): Promise<Placement>;

  /** The live placement of a peer, if it has one. */
  placementOf(roomId: RoomId, peerId: PeerId): Promise<Placement | undefined>;

  /** The previous placement of a moving peer, if it has one (EP7). */
  previousPlacementOf(roomId: RoomId, peerId: PeerId): Promise<PreviousPlacement | undefined>;

  /**
   * Notes that a peer has moved: the store forgets its previous placement, unless `epoch` is no longer the live one.
   */
  completeMove(roomId: RoomId, peerId: PeerId, epoch: Epoch): Promise<void>;

  /**
   * Notes that another edge now holds the peer's session, and that the session token of this generation is in use
   * (SK2).
   * @param tokenGeneration - absent where the client brought no session token
   * @throws PlenaryError `peer_not_found`, `stale_epoch`; `token_replayed` when a newer token is in use
   */
  attachPeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    edgeId: EdgeId,
    tokenGeneration?: number,
  ): Promise<AttachedPeer>;

  /** Notes that the client has the session token of this generation; changes nothing if a newer one is in use. */
  confirmToken(roomId: RoomId, peerId: PeerId, tokenGeneration: number): Promise<void>;

  /** Lists all placements of a room, for the sweep of peers whose edge and node are both gone. */
  list(roomId: RoomId): Promise<readonly Placement[]>;
}
