/**
 * The media nodes and edges that are alive, with what others need to know of them. A process renews its announcement
 * periodically; one that is not renewed lapses. SPEC RG.
 */
import { z } from 'zod';
import { DATACENTER_ID, EDGE_ID, INCARNATION, MEDIA_NODE_ID } from '../protocol/ids.ts';
import type { EdgeId, Incarnation, MediaNodeId } from '../protocol/ids.ts';
import { HTTP_URL, patternText } from '../protocol/text.ts';
import { ANNOUNCED_ADDRESS } from './addresses.ts';
import type { AnnouncedAddresses } from './addresses.ts';

/** The RTP ports that a media node owns under its announced address, both ends included. */
export const PORT_SLICE = z
  .object({ firstPort: z.int().min(1).max(65_535), lastPort: z.int().min(1).max(65_535) })
  .refine((slice) => slice.firstPort <= slice.lastPort, 'firstPort must not exceed lastPort');
export type PortSlice = z.infer<typeof PORT_SLICE>;

/** Load as fractions of what the node may use; above 1 it is overloaded. The node's load is the highest of them. */
export const NODE_LOAD = z.object({
  /** The busiest worker's CPU, as a fraction of one core. */
  workerCpu: z.number().min(0),
  /** The control process' CPU, as a fraction of one core. */
  controlCpu: z.number().min(0),
  /** The sending rate of the host's busiest interface, as a fraction of that interface's limit. */
  bandwidth: z.number().min(0).default(0),
  /** Packets that the host sends and receives over its busiest interface, as a fraction of the node's limit. */
  packets: z.number().min(0).default(0),
});
export type NodeLoad = z.infer<typeof NODE_LOAD>;

export const MEDIA_NODE_RECORD = z.object({
  mediaNodeId: MEDIA_NODE_ID,
  incarnation: INCARNATION,
  datacenter: DATACENTER_ID,
  controlVersion: z.int(),
  /** Where edges and other media nodes open control links. */
  controlUrl: HTTP_URL,
  /** Where operators reach it, if it says so. Nothing secret is ever sent there. */
  operatorUrl: HTTP_URL.optional(),
  announcedAddress: ANNOUNCED_ADDRESS,
  /** The IPv6 address of a node whose `announcedAddress` is an IPv4 address or a host name. */
  announcedIpv6: ANNOUNCED_ADDRESS.optional(),
  portSlice: PORT_SLICE,
  /** A draining node keeps its peers and takes no more. */
  state: z.enum(['serving', 'draining']),
  load: NODE_LOAD,
  peerCount: z.int().min(0),
  maxPeers: z.int().min(1),
  /** Peers admitted within the last `JOIN_INTERVAL_MS`, from all edges. */
  recentJoins: z.int().min(0).default(0),
  /** Clients seem not to reach its announced address: other nodes of its datacenter are preferred (SPEC HL30). */
  isUnreached: z.boolean().default(false),
  /**
   * Clients certainly do not reach it: any other node that can take a peer is preferred, wherever it is (SPEC HL30,
   * HL32).
   */
  isSurelyUnreached: z.boolean().default(false),
  /**
   * The time of the report by the node's own clock, in milliseconds: tells one report from the next; 0 from an older
   * node.
   */
  reportedAtMs: z.int().min(0).default(0),
});
export type MediaNodeRecord = z.infer<typeof MEDIA_NODE_RECORD>;

/** The name of a secret, then 16 bytes. */
const EDGE_PROOF = patternText(/^[\w-]{8}\.[\w-]{22}$/, 31, 'must be the proof of an edge');

export const EDGE_RECORD = z.object({
  edgeId: EDGE_ID,
  incarnation: INCARNATION,
  datacenter: DATACENTER_ID,
  /** The URL for clients. */
  publicUrl: HTTP_URL,
  /** Where operators reach it, if it says so. Nothing secret is ever sent there. */
  operatorUrl: HTTP_URL.optional(),
  state: z.enum(['serving', 'draining']),
  /** Made with a key of the cluster over the URL for clients (SPEC NS7). */
  proof: EDGE_PROOF.optional(),
  /** Its clock is so far off that tokens fail on it (SPEC HL47). */
  isClockOff: z.boolean().optional(),
  /** It cannot hear other edges or reach them, although the store serves (SPEC HL51). */
  isPubSubOff: z.boolean().optional(),
});
export type EdgeRecord = z.infer<typeof EDGE_RECORD>;

/** Why an announcement was refused. */
export type AnnounceRefusal =
  /** A live process of another incarnation holds the id. */
  | { readonly refused: 'id_taken' }
  /** A live node with the same announced address owns ports of the slice. */
  | { readonly refused: 'port_slice_overlap'; readonly by: MediaNodeId; readonly portSlice: PortSlice };

export type AnnounceResult = { readonly refused: null } | AnnounceRefusal;

/** The ports that a media node wants to own before it is announced. */
export interface PortSliceClaim extends AnnouncedAddresses {
  readonly mediaNodeId: MediaNodeId;
  readonly incarnation: Incarnation;
  /** Exactly this slice, or the first free one of `size` ports in `range`. */
  readonly wanted: PortSlice | WantedFromRange;
}

export interface WantedFromRange {
  readonly range: PortSlice;
  readonly size: number;
  /** First ports of slices that the node got and cannot use, because something else on its host holds ports of them. */
  readonly except: readonly number[];
}

/** A node that holds a slice that a claim would need. */
export interface SliceHolder {
  readonly mediaNodeId: MediaNodeId;
  readonly portSlice: PortSlice;
  /** How long the slice still rests, in milliseconds; `null` while it is held. */
  readonly restsForMs: number | null;
}

export type PortSliceResult =
  | { readonly refused: null; readonly portSlice: PortSlice }
  | { readonly refused: 'port_slice_overlap'; readonly by: MediaNodeId; readonly portSlice: PortSlice }
  /** `holders` in the order of their ports. */
  | { readonly refused: 'no_free_slice'; readonly holders: readonly SliceHolder[] };

export interface Registry {
  /**
   * Leases ports to a media node for `leaseMs`, before it binds them; announcements hold and renew the lease from then
   * on. A node holds one slice: what its incarnation held before is given back. A repeat gives the same slice as long as
   * it is held. From a range, a slice that was given back or lapsed is leased again only after it has rested; exactly
   * the wanted slice is refused only while another node holds ports of it. A refusal changes nothing. SPEC PS1 to PS4.
   * @throws PlenaryError `store_unavailable`
   */
  claimPortSlice(claim: PortSliceClaim, leaseMs: number): Promise<PortSliceResult>;
  /**
   * Announces a media node, or renews it, for `leaseMs`, and its slice with it. A refusal changes nothing.
   * @throws PlenaryError `store_unavailable`
   */
  announceMediaNode(record: MediaNodeRecord, leaseMs: number): Promise<AnnounceResult>;
  /** Announces an edge, or renews it, for `leaseMs`. @throws PlenaryError `store_unavailable` */
  announceEdge(record: EdgeRecord, leaseMs: number): Promise<AnnounceResult>;
  /**
   * Withdraws an announcement, and releases the slice that this incarnation holds. An announcement of another
   * incarnation stays.
   */
  withdrawMediaNode(mediaNodeId: MediaNodeId, incarnation: Incarnation): Promise<void>;
  withdrawEdge(edgeId: EdgeId, incarnation: Incarnation): Promise<void>;
  /** The live media nodes, in the order of their ids. */
  liveMediaNodes(): Promise<readonly MediaNodeRecord[]>;
  /** The live edges, in the order of their ids. */
  liveEdges(): Promise<readonly EdgeRecord[]>;
}

/** Whether two slices share a port. */
export function slicesOverlap(left: PortSlice, right: PortSlice): boolean {
  return left.firstPort <= right.lastPort && right.firstPort <= left.lastPort;
}
