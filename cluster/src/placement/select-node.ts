import type { RoomOccupancy } from '../room/placement-store.ts';
import { CONTROL_VERSION } from '../protocol/edge-media.ts';
import type { DatacenterId, MediaNodeId } from '../protocol/ids.ts';
import type { MediaNodeRecord, NodeLoad } from '../registry/registry.ts';

/** Why a node was chosen; logged and counted. `_remote`: no node of the first datacenter can take the peer. */
export type PlacementReason =
  /** The datacenter hosts the room there already, below the packing limit. */
  | 'packed'
  | 'packed_remote'
  /** The less loaded of two of the datacenter. */
  | 'least_loaded_local'
  | 'least_loaded_remote'
  /** Every node of the datacenter has had its joins for now, and one takes one more nevertheless. */
  | 'over_join_limit'
  | 'over_join_limit_remote';

export type NodeChoice =
  | { readonly mediaNodeId: MediaNodeId; readonly reason: PlacementReason }
  | { readonly mediaNodeId: null; readonly reason: 'no_node_alive' | 'all_nodes_full' };

export interface PlacementLimits {
  /** Up to so many peers of one room stay on one node of a datacenter: a small meeting has no pipe. */
  readonly packingLimit: number;
  /** With so many peers of one room a node is passed over for the room while another one can take them. */
  readonly maxRoomPeersPerNode: number;
  /** With so many joins within `JOIN_INTERVAL_MS` a node is passed over while another one can take them. */
  readonly maxJoinsPerNode: number;
  /** Load from which a node takes nobody new; 0.7, since hop latency falls off a cliff beyond. */
  readonly maxLoad: number;
}

export interface PlacementQuestion {
  readonly nodes: readonly MediaNodeRecord[];
  readonly room: RoomOccupancy;
  /** Where to look, the best first; what is not in the list comes last, as one. */
  readonly datacenters: readonly DatacenterId[];
  /** Nodes that just failed this peer. */
  readonly exclude?: ReadonlySet<MediaNodeId>;
  /** Placements that a node's last report cannot contain, so that a burst does not land on one node. */
  readonly inFlight: ReadonlyMap<MediaNodeId, number>;
  /** Joins of a node within the last `JOIN_INTERVAL_MS`, as far as they are known. */
  readonly joins: ReadonlyMap<MediaNodeId, number>;
  readonly limits: PlacementLimits;
  /** A number in [0, 1), asked for four times at most. */
  readonly random: () => number;
}

/** The highest of a node's loads decides. */
export function highestLoad(load: NodeLoad): number {
  return Math.max(load.workerCpu, load.controlCpu, load.bandwidth, load.packets);
}

/**
 * What one more placement is taken to add to a node's load until its next report tells the truth: a join costs some 3 ms
 * of the control process' CPU and as much of a worker's (`npm run bench:join`), spread over the second or two between two
 * reports, and then media. Too high a guess turns people away from an idle node in a burst.
 */
export const ASSUMED_LOAD_PER_PEER = 0.004;

/**
 * Loads that are closer than this are one and the same: CPU measured over a second is no more exact. Then the number of
 * peers decides, which is exact, so that all edges that read one noisy report do not follow it to one node.
 */
export const LOAD_RESOLUTION = 0.05;

/** A node as the ladder weighs it. */
interface Candidate {
  readonly node: MediaNodeRecord;
  /** Of the room in question. */
  readonly roomPeers: number;
  /** Placements that its last report cannot contain. */
  readonly inFlight: number;
  /** With what is in flight. */
  readonly load: number;
  /** With what is in flight, over what the node takes. */
  readonly fill: number;
  readonly isOverJoinLimit: boolean;
}

/**
 * The placement ladder (SPEC PL1, PL2, PL7, PL8, PL9): a pure function that returns its choice and the reason. A node that
 * nobody seems to reach is passed over as long as another one of its datacenter can take the peer, and as long as any other
 * can where that is sure (SPEC HL7): few people are to send nobody far away.
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

/** What the ladder needs to know of a node; nothing for one that cannot take the peer. */
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
 * The rungs within one datacenter. The limits on joins and on a room's share pass nodes over but turn nobody away, and
 * send nobody to another datacenter: a burst is over in seconds, while a distance is felt as long as the meeting lasts,
 * and a refused client only comes again. What protects a node is its load, which is a hard limit.
 */
function selectWithin(
  within: readonly Candidate[],
  { limits, random }: PlacementQuestion,
  isLocal: boolean,
): NodeChoice | undefined {
  const rested = within.filter((candidate) => !candidate.isOverJoinLimit);
  // When all have had their joins the limit tells them apart no more, and the rungs are as ever: the least loaded of all
  // would be the same node for every edge that read the same reports.
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
 * Two at random decide by load how loaded a node is to be taken: so many edges that read one stale report do not all
 * follow it to the one idle node. Among the nodes that are loaded alike, those that this edge sent the fewest to since
 * they reported come first, and of two of them the one with fewer peers, which is exact where load is noise.
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
