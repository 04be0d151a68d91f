/** Which media nodes are gateways of their datacenter. Every method is one atomic change of one room. SPEC GW. */
import { z } from 'zod';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { MEDIA_NODE_ID } from '../protocol/ids.ts';
import type { DatacenterId, MediaNodeId, RoomId } from '../protocol/ids.ts';

/**
 * The media node of a datacenter that pulls the tracks of one node elsewhere and relays them to the other nodes of its
 * datacenter, so that only one copy crosses between the datacenters (GW1).
 */
export const GATEWAY = z.object({ mediaNodeId: MEDIA_NODE_ID, epoch: EPOCH });

export type Gateway = z.infer<typeof GATEWAY>;

export interface GatewayClaim {
  readonly roomId: RoomId;
  /** The datacenter that requests the tracks. */
  readonly datacenter: DatacenterId;
  /** The media node that hosts the tracks. */
  readonly homeNodeId: MediaNodeId;
  /** The media node that wants to be the gateway. */
  readonly mediaNodeId: MediaNodeId;
  /**
   * The epoch of the claim whose gateway failed the caller; absent for a first claim, which then yields to an existing
   * one.
   */
  readonly replacesEpoch?: Epoch;
}

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface GatewayStore {
  /**
   * Claims to be a datacenter's gateway to a node elsewhere. Concurrent callers all get the same answer: a first claim
   * yields to an existing one, and a replacement of a claim that is no longer live yields to the live one. A claim ends
   * with the room or by {@link releaseGateway}.
   * @returns the live gateway, whichever node it is
   * @throws PlenaryError `peer_not_found` when nobody is in the room
   */
  claimGateway(claim: GatewayClaim): Promise<Gateway>;

  /** Releases a claim, unless another claim replaced it meanwhile. */
  releaseGateway(
    roomId: RoomId,
    datacenter: DatacenterId,
    homeNodeId: MediaNodeId,
    epoch: Epoch,
  ): Promise<void>;
}
