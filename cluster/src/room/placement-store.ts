/** Where the peers of a room live, and which edge holds their sessions. Every method is one atomic change of one room. SPEC PL, EP, SE. */
import { z } from 'zod';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { EDGE_ID, MEDIA_NODE_ID, PEER_ID, REQUEST_ID } from '../protocol/ids.ts';
import type { EdgeId, MediaNodeId, PeerId, RequestId, RoomId } from '../protocol/ids.ts';
import type { RosterPeer } from '../protocol/room.ts';
import type { StoredTrack } from './room-log.ts';

/** Where a peer lives. Exactly one placement of a peer is live; its epoch only grows (EP1). */
export const PLACEMENT = z.object({
  peerId: PEER_ID,
  mediaNodeId: MEDIA_NODE_ID,
  epoch: EPOCH,
  /** The edge that holds, or last held, the peer's session. */
  edgeId: EDGE_ID,
  /** Of the `join` that made the peer; a repeat of it finds the peer again. */
  requestId: REQUEST_ID,
  /** Grows each time that the peer is placed or its session taken up: of two edges, the later one holds it (RC17). */
  holdEpoch: EPOCH,
});

export type Placement = z.infer<typeof PLACEMENT>;

/** Where a peer that is being moved goes on until it has moved (EP7). */
export const PREVIOUS_PLACEMENT = PLACEMENT.pick({ mediaNodeId: true, epoch: true });

export type PreviousPlacement = z.infer<typeof PREVIOUS_PLACEMENT>;

export interface PlaceRequest {
  readonly roomId: RoomId;
  readonly peerId: PeerId;
  readonly requestId: RequestId;
  readonly edgeId: EdgeId;
  /** What the ladder chose. */
  readonly mediaNodeId: MediaNodeId;
  /** The epoch this placement replaces; absent for a first placement, which then yields to one that exists. */
  readonly replacesEpoch?: Epoch;
  /** The newest hold of the session that the caller knows of: whose session was taken up since is placed by who took it (SE28). */
  readonly heldUnder?: Epoch;
  /**
   * The placement that goes on beside the new one until {@link PlacementStore.completeMove}: the replaced one, or the previous one
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

/** A peer whose session an edge took up. */
export interface AttachedPeer {
  readonly self: RosterPeer;
  /** Its place in the roster. */
  readonly sequence: number;
  readonly holdEpoch: Epoch;
  /** Where it goes on beside, until it has moved. */
  readonly previous: PreviousPlacement | undefined;
  /** In the whole room. */
  readonly peerCount: number;
}

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface PlacementStore {
  /** What the ladder and a join need to know of a room; an unknown room is an empty one. */
  view(roomId: RoomId): Promise<RoomView>;

  /**
   * Places a peer, or moves it to another node under a higher epoch. Of several callers at once all get one answer:
   * a first placement yields to an existing one, and a replacement of an epoch that is no longer the live one, or by who no
   * longer holds the session, yields to the live one (PL3, EP8, SE28).
   * @returns the live placement, whoever made it
   * @throws PlenaryError `room_full`; `store_unavailable` for a first placement while the room is being rebuilt;
   *   `peer_not_found` when `replacesEpoch` is given and the peer is gone; `stale_epoch` when `keepsEpoch` is neither that
   *   of the live placement nor that of the previous one
   */
  placePeer(request: PlaceRequest): Promise<Placement>;

  /** The live placement of a peer, if it has one. */
  placementOf(roomId: RoomId, peerId: PeerId): Promise<Placement | undefined>;

  /** The placement that a peer which is being moved has beside its live one, if it has one (EP7). */
  previousPlacement(roomId: RoomId, peerId: PeerId): Promise<PreviousPlacement | undefined>;

  /** Notes that a peer has moved: its previous placement is forgotten, unless another than `epoch` is live. */
  completeMove(roomId: RoomId, peerId: PeerId, epoch: Epoch): Promise<void>;

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

  /** All placements of a room, for the sweep of peers whose edge and node are both gone. */
  all(roomId: RoomId): Promise<readonly Placement[]>;
}
