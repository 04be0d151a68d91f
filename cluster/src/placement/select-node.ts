import type { RoomOccupancy } from '../room/placement-store.ts';
import { CONTROL_VERSION } from '../protocol/edge-media.ts';
import type { DatacenterId, MediaNodeId } from '../protocol/ids.ts';
import type { MediaNodeRecord, NodeLoad } from '../registry/registry.ts';

/** The reason of a choice; logged and counted. `_remote`: no node of the first datacenter can take the peer. */
export type PlacementReason =
  /** The datacenter already hosts the room, below the packing limit. */
  | 'packed'
  | 'packed_remote'
  /** The less loaded of two nodes of the datacenter. */
  | 'least_loaded_local'
  | 'least_loaded_remote'
  /** Every node of the datacenter has reached its join limit, and one takes the peer nevertheless. */
  | 'over_join_limit'
  | 'over_join_limit_remote';

export type NodeChoice =
  | { readonly mediaNodeId: MediaNodeId; readonly reason: PlacementReason }
  | { readonly mediaNodeId: null; readonly reason: 'no_node_alive' | 'all_nodes_full' };

export interface PlacementLimits {
  /** Up to this many peers of one room stay on one node of a datacenter: a small meeting needs no pipe. */
  readonly packingLimit: number;
  /** A node with this many peers of one room is skipped for that room while another one can take them. */
  readonly maxRoomPeersPerNode: number;
  /** A node with this many joins within `JOIN_INTERVAL_MS` is skipped while another one can take them. */
  readonly maxJoinsPerNode: number;
  /** From this load on a node takes no new peers; 0.7, because the latency of a hop rises steeply beyond it. */
  readonly maxLoad: number;
}

export interface PlacementQuestion {
  readonly nodes: readonly MediaNodeRecord[];
  readonly room: RoomOccupancy;
  /** The datacenters, the best first; all others come last, as one. */
  readonly datacenters: readonly DatacenterId[];
  /** Nodes that have just failed for this peer. */
  readonly exclude?: ReadonlySet<MediaNodeId>;
  /** Placements that a node's last report cannot contain, so that a burst does not land on one node. */
  readonly inFlight: ReadonlyMap<MediaNodeId, number>;
  /** Known joins of a node within the last `JOIN_INTERVAL_MS`. */
  readonly joins: ReadonlyMap<MediaNodeId, number>;
  readonly limits: PlacementLimits;
  /** Gives a number in [0, 1); called at most four times. */
  readonly random: () => number;
}

/** The highest of a node's loads decides. */
export function highestLoad(load: NodeLoad): number {
  return Math.max(load.workerCpu, load.controlCpu, load.bandwidth, load.packets);
}

/**
 * The load that one more placement is assumed to add until the node's next report: a join costs some 3 ms of the
 * control process' CPU and as much of a worker's (`npm run bench:join`), spread over the second or two between two
 * reports, and then its streams cost more. Too high a guess refuses people on an idle node in a burst.
 */
export const ASSUMED_LOAD_PER_PEER = 0.004;

/**
 * Loads that differ by less than this count as equal: CPU measured over a second is no more precise. Then the number of
 * peers decides, which is exact, so that edges that read one noisy report do not all choose one node.
 */
export const LOAD_RESOLUTION = 0.05;

/** A node as the ladder weighs it. */
interface Candidate {
  readonly node: MediaNodeRecord;
  /** Peers of the room in question. */
  readonly roomPeers: number;
  /** Placements that its last report cannot contain. */
  readonly inFlight: number;
  /** The reported load plus that of placements in flight. */
  readonly load: number;
  /** Peers, those in flight included, as a fraction of the node's capacity. */
  readonly fill: number;
  readonly isOverJoinLimit: boolean;
}

/**
 * The placement ladder (SPEC PL1, PL2, PL7 to PL9, PL16 to PL18, PL20 to PL22): a pure function that returns its choice
 * and the reason. A node that clients seem not to reach is skipped while another one of its datacenter can take the
 * peer. One that they certainly do not reach is skipped while any other node can (SPEC HL30, HL32): a few clients must
 * not send others to a distant datacenter.
 */
export function selectNode(question: PlacementQuestion): NodeChoice {
  const others = question.nodes.filter(({ isSurelyUnreached }) => !isSurelyUnreached);
  if (others.length === question.nodes.length) return selectAmong(question);
  const choice = selectAmong({ ...question, nodes: others });
  return choice.mediaNodeId === null ? selectAmong(question) : choice;
}

function selectAmong(question: PlacementQuestion): NodeChoice {
  const known = question.nodes.filter(
    (node) => node.controlVersion === CONTROL_VERSION && node.state === 'serving',
  );
  if (known.length === 0) return { mediaNodeId: null, reason: 'no_node_alive' };

  const candidates = known.flatMap((node) => weigh(node, question));
  const { datacenters } = question;
  for (const [index, datacenter] of datacenters.entries()) {
    const within = candidates.filter(({ node }) => node.datacenter === datacenter);
    const choice = selectReachedFirst(within, question, index === 0);
    if (choice !== undefined) return choice;
  }
  const elsewhere = candidates.filter(({ node }) => !datacenters.includes(node.datacenter));
  return (
    selectReachedFirst(elsewhere, question, datacenters.length === 0) ?? {
      mediaNodeId: null,
      reason: 'all_nodes_full',
    }
  );
}

/** The candidate for a node; none if the node cannot take the peer. */
function weigh(node: MediaNodeRecord, question: PlacementQuestion): Candidate[] {
  const { limits, room, exclude } = question;
  const added = question.inFlight.get(node.mediaNodeId) ?? 0;
  const peers = node.peerCount + added;
  const load = highestLoad(node.load) + added * ASSUMED_LOAD_PER_PEER;
  if (exclude?.has(node.mediaNodeId) === true || peers >= node.maxPeers || load >= limits.maxLoad) return [];
  return [
    {
      node,
      roomPeers: room.peersByNode.get(node.mediaNodeId) ?? 0,
      inFlight: added,
      load,
      fill: peers / node.maxPeers,
      isOverJoinLimit: (question.joins.get(node.mediaNodeId) ?? 0) >= limits.maxJoinsPerNode,
    },
  ];
}

function selectReachedFirst(
  within: readonly Candidate[],
  question: PlacementQuestion,
  isLocal: boolean,
): NodeChoice | undefined {
  const reached = within.filter(({ node }) => !node.isUnreached);
  return selectWithin(reached, question, isLocal) ?? selectWithin(within, question, isLocal);
}

/**
 * The rungs within one datacenter. The limits on joins and on a room's share only skip nodes: they refuse nobody and
 * send nobody to another datacenter. A burst ends in seconds, a distance is felt throughout the meeting, and a refused
 * client only comes again. A node's protection is the hard limit on its load.
 */
function selectWithin(
  within: readonly Candidate[],
  { limits, random }: PlacementQuestion,
  isLocal: boolean,
): NodeChoice | undefined {
  const rested = within.filter((candidate) => !candidate.isOverJoinLimit);
  // If all nodes have reached the join limit, it cannot tell them apart, and the other rungs decide as usual: the least
  // loaded of all would be the same node for every edge that read the same reports.
  const eligible = rested.length > 0 ? rested : within;
  const chosen = packedOn(eligible, limits) ?? spread(eligible, limits, random);
  if (chosen === undefined) return undefined;
  const { node, rung } = chosen;
  const reason = rested.length === 0 ? 'over_join_limit' : rung;
  return { mediaNodeId: node.mediaNodeId, reason: REASONS[reason][isLocal ? 'local' : 'remote'] };
}

const REASONS = {
  packed: { local: 'packed', remote: 'packed_remote' },
  least_loaded: { local: 'least_loaded_local', remote: 'least_loaded_remote' },
  over_join_limit: { local: 'over_join_limit', remote: 'over_join_limit_remote' },
} as const satisfies Record<string, Record<'local' | 'remote', PlacementReason>>;

interface Chosen {
  readonly node: MediaNodeRecord;
  readonly rung: 'packed' | 'least_loaded';
}

function packedOn(eligible: readonly Candidate[], limits: PlacementLimits): Chosen | undefined {
  const [fullest] = eligible
    .filter(({ roomPeers }) => roomPeers > 0 && roomPeers < limits.packingLimit)
    .sort((left, right) => right.roomPeers - left.roomPeers || compareIds(left, right));
  return fullest === undefined ? undefined : { node: fullest.node, rung: 'packed' };
}

function spread(
  eligible: readonly Candidate[],
  limits: PlacementLimits,
  random: () => number,
): Chosen | undefined {
  const belowShare = eligible.filter(({ roomPeers }) => roomPeers < limits.maxRoomPeersPerNode);
  const chosen = lessLoadedOfTwo(belowShare.length > 0 ? belowShare : eligible, random);
  return chosen === undefined ? undefined : { node: chosen.node, rung: 'least_loaded' };
}

/**
 * Draws two nodes at random; the less loaded one sets the load to choose, so that edges with the same stale report do
 * not all choose the one idle node. Among the nodes with that load, those that this edge used least since their last
 * report come first; of two of them, the one with fewer peers, because that number is exact while load is noisy.
 */
function lessLoadedOfTwo(candidates: readonly Candidate[], random: () => number): Candidate | undefined {
  const [first, second] = twoAtRandom(candidates, random);
  if (first === undefined || second === undefined) return first;
  const load = Math.min(first.load, second.load);
  const alike = candidates.filter((candidate) => Math.abs(candidate.load - load) <= LOAD_RESOLUTION);
  const fewest = Math.min(...alike.map(({ inFlight }) => inFlight));
  const [left, right] = twoAtRandom(
    alike.filter(({ inFlight }) => inFlight === fewest),
    random,
  );
  return left === undefined || right === undefined ? left : lessLoaded(left, right);
}

function twoAtRandom(candidates: readonly Candidate[], random: () => number): readonly Candidate[] {
  if (candidates.length <= 1) return candidates;
  const firstIndex = Math.floor(random() * candidates.length);
  const offset = 1 + Math.floor(random() * (candidates.length - 1));
  return [candidates[firstIndex], candidates[(firstIndex + offset) % candidates.length]].filter(
    (candidate) => candidate !== undefined,
  );
}

function lessLoaded(first: Candidate, second: Candidate): Candidate {
  const difference = second.load - first.load;
  if (Math.abs(difference) > LOAD_RESOLUTION) return difference < 0 ? second : first;
  return second.fill < first.fill ? second : first;
}

function compareIds(left: Candidate, right: Candidate): number {
  return left.node.mediaNodeId < right.node.mediaNodeId ? -1 : 1;
}
