/** Which nodes are gateways of their datacenter. Every method is one atomic change of one room. SPEC GW. */
import { z } from 'zod';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { MEDIA_NODE_ID } from '../protocol/ids.ts';
import type { DatacenterId, MediaNodeId, RoomId } from '../protocol/ids.ts';

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

/** All methods throw PlenaryError `store_unavailable` when the store does not answer. */
export interface GatewayStore {
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
}
