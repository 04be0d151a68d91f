import { describe, expect, it } from 'vitest';
import { simulateBurst } from '../testing/placement-simulation.ts';
import type { BurstShape } from '../testing/placement-simulation.ts';

const SEEDS = 300;
const LIMITS = { packingLimit: 50, maxRoomPeersPerNode: 200, maxJoinsPerNode: 100, maxLoad: 0.7 };
const NODES = 12;
const JOINS = 92;

/** The shapes of which a node got more than `factor` times the mean, with what is needed to repeat them. */
function tooUneven(shape: Omit<BurstShape, 'seed'>, factor: number): string[] {
  const allowed = (factor * shape.joins) / shape.nodes;
  return Array.from({ length: SEEDS }, (_, index) => index + 1).flatMap((seed) => {
    const { peersByNode } = simulateBurst({ ...shape, seed });
    const placed = peersByNode.reduce((sum, peers) => sum + peers, 0);
    const isEven = placed === shape.joins && Math.max(...peersByNode) <= allowed;
    return isEven ? [] : [`seed ${seed}: ${peersByNode.join(' ')}`];
  });
}

describe('a burst of joins', () => {
  describe.each([1, 2, 3, 4])('over %i edges', (edges) => {
    it.each([
      ['in 30 s', 30_000],
      ['in 5 s', 5_000],
      ['in 1 s', 1_000],
      ['at once', 1],
    ])('[PL6] 92 joins %s put no more than 1.5 times the mean on any of 12 nodes', (_name, withinMs) => {
      expect(tooUneven({ nodes: NODES, edges, joins: JOINS, withinMs, limits: LIMITS }, 1.5)).toEqual([]);
    });
  });

  it('[PL7] a storm goes on being spread when every node has had its joins', () => {
    const limits = { ...LIMITS, maxJoinsPerNode: 5 };
    const shape = { nodes: NODES, edges: 4, joins: 600, withinMs: 2_000, limits };
    expect(tooUneven(shape, 1.5)).toEqual([]);
    const { reasons } = simulateBurst({ ...shape, seed: 1 });
    expect(reasons.get('over_join_limit') ?? 0).toBeGreaterThan(0);
    expect(reasons.get('all_nodes_full')).toBeUndefined();
  });
});
