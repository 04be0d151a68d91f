import type { RoomOccupancy } from '../room/room-store.ts';
import { CONTROL_VERSION } from '../protocol/edge-media.ts';
import type { DatacenterId, MediaNodeId } from '../protocol/ids.ts';
import type { MediaNodeRecord, NodeLoad } from '../registry/registry.ts';

/** Why a node was chosen; logged and counted. */
export type PlacementReason =
  /** The peer's datacenter hosts the room there already, below the packing limit. */
  | 'packed'
  /** The less loaded of two in the peer's datacenter. */
  | 'least_loaded_local'
  /** No node of the peer's datacenter can take it; the room lives on this one already. */
  | 'packed_remote'
  /** No node of the peer's datacenter can take it; the less loaded of two elsewhere. */
  | 'least_loaded_remote';

export type NodeChoice =
  | { readonly mediaNodeId: MediaNodeId; readonly reason: PlacementReason }
  | { readonly mediaNodeId: null; readonly reason: 'no_node_alive' | 'all_nodes_full' };

export interface PlacementLimits {
  /** Up to so many peers of one room stay on one node of a datacenter: a small meeting has no pipe. */
  readonly packingLimit: number;
  /** Load from which a node takes nobody new; 0.7, since hop latency falls off a cliff beyond. */
  readonly maxLoad: number;
}

export interface PlacementQuestion {
  readonly nodes: readonly MediaNodeRecord[];
  readonly room: RoomOccupancy;
  readonly datacenter: DatacenterId;
  /** Nodes that just failed this peer. */
  readonly exclude?: ReadonlySet<MediaNodeId>;
  /** Placements made since a node's last report, so that a burst does not land on one node. */
  readonly inFlight: ReadonlyMap<MediaNodeId, number>;
  readonly limits: PlacementLimits;
  /** A number in [0, 1), asked for twice at most. */
  readonly random: () => number;
}

/** The highest of a node's loads decides. */
export function highestLoad(load: NodeLoad): number {
  return Math.max(load.workerCpu, load.controlCpu);
}

/**
 * What one more placement is taken to add to a node's load until its next report tells the truth: a join costs some 3 ms
 * of the control process' CPU and as much of a worker's (`npm run bench:join`), spread over the second or two between two
 * reports, and then media. Too high a guess turns people away from an idle node in a burst.
 */
export const ASSUMED_LOAD_PER_PEER = 0.004;

/**
 * The placement ladder (SPEC PL1, PL2): a pure function that returns its choice and the reason.
 */
export function selectNode(question: PlacementQuestion): NodeChoice {
  const { nodes, room, limits, inFlight } = question;
  const known = nodes.filter((node) => node.controlVersion === CONTROL_VERSION && node.state === 'serving');
  if (known.length === 0) return { mediaNodeId: null, reason: 'no_node_alive' };

  const added = (node: MediaNodeRecord): number => inFlight.get(node.mediaNodeId) ?? 0;
  const loadOf = (node: MediaNodeRecord): number =>
    highestLoad(node.load) + added(node) * ASSUMED_LOAD_PER_PEER;
  const candidates = known.filter(
    (node) =>
      question.exclude?.has(node.mediaNodeId) !== true &&
      node.peerCount + added(node) < node.maxPeers &&
      loadOf(node) < limits.maxLoad,
  );
  const local = candidates.filter((node) => node.datacenter === question.datacenter);
  const within = local.length > 0 ? local : candidates;
  const isLocal = local.length > 0;

  const hosting = within
    .map((node) => ({ node, peers: room.peersByNode.get(node.mediaNodeId) ?? 0 }))
    .filter(({ peers }) => peers > 0 && peers < limits.packingLimit)
    .sort((left, right) => right.peers - left.peers || compareIds(left.node, right.node));
  const fullest = hosting[0];
  if (fullest !== undefined) {
    return { mediaNodeId: fullest.node.mediaNodeId, reason: isLocal ? 'packed' : 'packed_remote' };
  }

  const chosen = lessLoadedOfTwo(within, loadOf, question.random);
  if (chosen === undefined) return { mediaNodeId: null, reason: 'all_nodes_full' };
  return { mediaNodeId: chosen.mediaNodeId, reason: isLocal ? 'least_loaded_local' : 'least_loaded_remote' };
}

function lessLoadedOfTwo(
  nodes: readonly MediaNodeRecord[],
  loadOf: (node: MediaNodeRecord) => number,
  random: () => number,
): MediaNodeRecord | undefined {
  if (nodes.length <= 1) return nodes[0];
  const firstIndex = Math.floor(random() * nodes.length);
  const offset = 1 + Math.floor(random() * (nodes.length - 1));
  const first = nodes[firstIndex];
  const second = nodes[(firstIndex + offset) % nodes.length];
  if (first === undefined || second === undefined) return first ?? second;
  return loadOf(second) < loadOf(first) ? second : first;
}

function compareIds(left: MediaNodeRecord, right: MediaNodeRecord): number {
  return left.mediaNodeId < right.mediaNodeId ? -1 : 1;
}
