import { describe, expect, it } from 'vitest';
import type { MediaNodeId } from '../protocol/ids.ts';
import type { MediaNodeRecord } from '../registry/registry.ts';
import { datacenter, mediaNode, mediaNodeRecord } from '../testing/samples.ts';
import { selectNode } from './select-node.ts';
import type { PlacementQuestion } from './select-node.ts';

const inGra = (name: string, changes: Partial<MediaNodeRecord> = {}) => mediaNodeRecord(name, changes);
const inSbg = (name: string, changes: Partial<MediaNodeRecord> = {}) =>
  mediaNodeRecord(name, { datacenter: datacenter('sbg'), ...changes });
const loaded = (workerCpu: number) => ({ load: { workerCpu, controlCpu: 0 } });
const hosting = (...counts: readonly [string, number][]) => ({
  peerCount: counts.reduce((sum, [, peers]) => sum + peers, 0),
  peersByNode: new Map(counts.map(([name, peers]) => [mediaNode(name), peers])),
});

const ask = (changes: Partial<PlacementQuestion>) =>
  selectNode({
    nodes: [],
    room: hosting(),
    datacenter: datacenter('gra'),
    inFlight: new Map<MediaNodeId, number>(),
    limits: { packingLimit: 50, maxLoad: 0.7 },
    random: () => 0,
    ...changes,
  });

describe('selectNode', () => {
  it('[PL1] has no answer without a living, serving node of this version', () => {
    expect(ask({})).toEqual({ mediaNodeId: null, reason: 'no_node_alive' });
    const nodes = [inGra('old', { controlVersion: 0 }), inGra('draining', { state: 'draining' })];
    expect(ask({ nodes })).toEqual({ mediaNodeId: null, reason: 'no_node_alive' });
  });

  it('[PL1] has no answer when every node is full, overloaded or excluded', () => {
    const nodes = [
      inGra('full', { peerCount: 10, maxPeers: 10 }),
      inGra('busy', loaded(0.7)),
      inGra('failed'),
    ];
    const answer = ask({ nodes, exclude: new Set([mediaNode('failed')]) });
    expect(answer).toEqual({ mediaNodeId: null, reason: 'all_nodes_full' });
  });

  it('[PL2] stays in the peer’s datacenter, although the room lives elsewhere', () => {
    const nodes = [inSbg('sbg-1'), inGra('gra-1')];
    expect(ask({ nodes, room: hosting(['sbg-1', 5]) })).toEqual({
      mediaNodeId: 'gra-1',
      reason: 'least_loaded_local',
    });
  });

  it('[PL2] a small meeting stays on one node of the datacenter', () => {
    const nodes = [inGra('gra-1'), inGra('gra-2', loaded(0.5))];
    expect(ask({ nodes, room: hosting(['gra-2', 5]) })).toEqual({ mediaNodeId: 'gra-2', reason: 'packed' });
  });

  it('[PL2] beyond the packing limit the room spills over to the less loaded of two', () => {
    const nodes = [inGra('gra-1', loaded(0.1)), inGra('gra-2', loaded(0.2))];
    expect(ask({ nodes, room: hosting(['gra-2', 50]) })).toEqual({
      mediaNodeId: 'gra-1',
      reason: 'least_loaded_local',
    });
  });

  it('[PL2] without a node in the datacenter, goes where the room lives, else to the less loaded of two', () => {
    const nodes = [inSbg('sbg-1', loaded(0.3)), inSbg('sbg-2', loaded(0.2))];
    expect(ask({ nodes, room: hosting(['sbg-1', 5]) })).toEqual({
      mediaNodeId: 'sbg-1',
      reason: 'packed_remote',
    });
    expect(ask({ nodes })).toEqual({ mediaNodeId: 'sbg-2', reason: 'least_loaded_remote' });
  });

  it('[PL2] counts placements that a node has not reported yet', () => {
    const nodes = [inGra('gra-1', loaded(0.1)), inGra('gra-2', loaded(0.2))];
    const inFlight = new Map([[mediaNode('gra-1'), 30]]);
    expect(ask({ nodes, inFlight })).toMatchObject({ mediaNodeId: 'gra-2' });
  });

  it('[PL2] the control process’ CPU counts as much as a worker’s', () => {
    const nodes = [inGra('gra-1', { load: { workerCpu: 0, controlCpu: 0.6 } }), inGra('gra-2', loaded(0.2))];
    expect(ask({ nodes })).toMatchObject({ mediaNodeId: 'gra-2' });
  });
});
