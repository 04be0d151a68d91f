import { DATACENTER_ID, EDGE_ID, MEDIA_NODE_ID, ROOM_ID } from '@plenary/cluster/ids';
import type { RoomId } from '@plenary/cluster/ids';
import type { Random } from '@plenary/cluster/testing/simulation/random';
import type { ClientPlan } from './client.ts';
import type { SimulatedEdgePlan, EdgeSettings } from './edge.ts';
import type { SliceSource } from '@plenary/media-node/simulation';
import type { SimulatedMediaNodePlan, MediaNodeSettings } from './media-node.ts';

/** All faults that a run may inject. */
export const FAULTS = [
  'node dies',
  'node stops',
  'node is drained',
  'edge dies',
  'edge is drained',
  'worker dies',
  'client vanishes',
  'connection breaks',
  'node is cut off',
  'store is cut off',
  'process stands still',
  'store goes away',
  'store fails over',
  'store is emptied',
] as const;
export type SimulatedFault = (typeof FAULTS)[number];

/** Faults that make the store lose data, so that sessions may have to join again. */
export const DATA_LOSS: ReadonlySet<SimulatedFault> = new Set<SimulatedFault>([
  'store fails over',
  'store is emptied',
]);

/** One run; the seed determines every part of it. */
export interface Plan {
  readonly nodes: readonly SimulatedMediaNodePlan[];
  readonly edges: readonly SimulatedEdgePlan[];
  readonly clients: readonly ClientPlan[];
  readonly roomIds: readonly RoomId[];
  readonly nodeSettings: MediaNodeSettings;
  readonly edgeSettings: EdgeSettings;
  /** The faults that are injected. */
  readonly faults: readonly SimulatedFault[];
  /** Whether messages are delayed, lost and repeated. */
  readonly isStormy: boolean;
}

const LEASE_MS = 3_000;
const SLICE_PORTS = 20;
const FIRST_PORT = 20_000;
const LEASED: SliceSource = {
  kind: 'leased',
  range: { firstPort: FIRST_PORT, lastPort: FIRST_PORT + 20 * SLICE_PORTS - 1 },
  size: SLICE_PORTS,
};

/** Sometimes gives two nodes of one machine the same ports, as an operator's mistake would. */
function explicitSlice(index: number): SliceSource {
  const firstPort = FIRST_PORT + SLICE_PORTS * index;
  return { kind: 'explicit', portSlice: { firstPort, lastPort: firstPort + SLICE_PORTS - 1 } };
}

export function planOf(random: Random): Plan {
  const datacenters = range(random.between(1, 3)).map((index) => DATACENTER_ID.parse(`dc${index}`));
  const datacenterOf = (index: number) =>
    datacenters[index % datacenters.length] ?? DATACENTER_ID.parse('dc0');
  const nodes = range(random.between(2, 5)).map((index): SimulatedMediaNodePlan => {
    const datacenter = datacenterOf(index);
    return {
      mediaNodeId: MEDIA_NODE_ID.parse(`n${index}`),
      datacenter,
      host: `${datacenter}.example`,
      sliceSource: random.chance(0.5) ? LEASED : explicitSlice(random.chance(0.05) ? 0 : index),
    };
  });
  const edges = range(random.between(1, 3)).map((index) => ({
    edgeId: EDGE_ID.parse(`e${index}`),
    datacenter: datacenterOf(index),
  }));
  // Rooms of two tenants have one name, to catch code that identifies a room by its name alone.
  const roomIds = range(random.between(1, 2)).map((index) => ROOM_ID.parse(`tenant${index}/room`));
  const clients = range(random.between(3, 7)).map((index) => ({
    name: `c${index}`,
    roomId: random.pick(roomIds) ?? ROOM_ID.parse('tenant0/room'),
    datacenter: datacenterOf(random.between(0, 2)),
  }));
  const isCalm = random.chance(0.1);
  return {
    nodes,
    edges,
    clients,
    roomIds,
    nodeSettings: {
      leaseMs: LEASE_MS,
      orphanGraceMs: 8_000,
      pipeLingerMs: 1_500,
      workers: random.between(1, 2),
      workerPackingLimit: random.between(1, 2),
      maxPeers: 50,
    },
    edgeSettings: { leaseMs: LEASE_MS, resumeWithinMs: 5_000, packingLimit: random.between(1, 3) },
    faults: isCalm ? [] : FAULTS.filter((fault) => random.chance(DATA_LOSS.has(fault) ? 0.15 : 0.5)),
    isStormy: !isCalm && random.chance(0.6),
  };
}

const range = (length: number): number[] => Array.from({ length }, (_, index) => index);
