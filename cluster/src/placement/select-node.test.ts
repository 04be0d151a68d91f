import { describe, expect, it } from 'vitest';
import type { MediaNodeId } from '../protocol/ids.ts';
import type { MediaNodeRecord } from '../registry/registry.ts';
import { datacenter, mediaNode, mediaNodeRecord } from '../testing/samples.ts';
import { selectNode } from './select-node.ts';
import type { PlacementQuestion } from './select-node.ts';

const inGra = (name: string, changes: Partial<MediaNodeRecord> = {}) => mediaNodeRecord(name, changes);
const inSbg = (name: string, changes: Partial<MediaNodeRecord> = {}) =>
  mediaNodeRecord(name, { datacenter: datacenter('sbg'), ...changes });
const IDLE = { workerCpu: 0, controlCpu: 0, bandwidth: 0, packets: 0 };
const loaded = (workerCpu: number) => ({ load: { ...IDLE, workerCpu } });
const counted = (...counts: readonly [string, number][]) =>
  new Map(counts.map(([name, count]) => [mediaNode(name), count]));
const hosting = (...counts: readonly [string, number][]) => ({
  peerCount: counts.reduce((sum, [, peers]) => sum + peers, 0),
  peersByNode: new Map(counts.map(([name, peers]) => [mediaNode(name), peers])),
});

const ask = (changes: Partial<PlacementQuestion>) =>
  selectNode({
    nodes: [],
    room: hosting(),
    datacenters: [datacenter('gra')],
    inFlight: new Map<MediaNodeId, number>(),
    joins: new Map<MediaNodeId, number>(),
    limits: { packingLimit: 50, maxRoomPeersPerNode: 200, maxJoinsPerNode: 100, maxLoad: 0.7 },
    random: () => 0,
    ...changes,
  });

describe('selectNode', () => {
  it('[PL1] [PL16] has no answer without a living, serving node of this version', () => {
    expect(ask({})).toEqual({ mediaNodeId: null, reason: 'no_node_alive' });
    const nodes = [inGra('old', { controlVersion: 0 }), inGra('draining', { state: 'draining' })];
    expect(ask({ nodes })).toEqual({ mediaNodeId: null, reason: 'no_node_alive' });
  });

  it('[PL1] [PL16] has no answer when every node is full, overloaded or excluded', () => {
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

  it('[PL17] a small meeting stays on one node of the datacenter', () => {
    const nodes = [inGra('gra-1'), inGra('gra-2', loaded(0.5))];
    expect(ask({ nodes, room: hosting(['gra-2', 5]) })).toEqual({ mediaNodeId: 'gra-2', reason: 'packed' });
  });

  it('[PL17] [PL18] beyond the packing limit the room spills over to the less loaded of two', () => {
    const nodes = [inGra('gra-1', loaded(0.1)), inGra('gra-2', loaded(0.2))];
    expect(ask({ nodes, room: hosting(['gra-2', 50]) })).toEqual({
      mediaNodeId: 'gra-1',
      reason: 'least_loaded_local',
    });
  });

  it('[PL2] [PL18] without a node in the datacenter, goes where the room lives, else to the less loaded of two', () => {
    const nodes = [inSbg('sbg-1', loaded(0.3)), inSbg('sbg-2', loaded(0.2))];
    expect(ask({ nodes, room: hosting(['sbg-1', 5]) })).toEqual({
      mediaNodeId: 'sbg-1',
      reason: 'packed_remote',
    });
    expect(ask({ nodes })).toEqual({ mediaNodeId: 'sbg-2', reason: 'least_loaded_remote' });
  });

  it('[PL6] counts placements that a node has not reported yet', () => {
    const nodes = [inGra('gra-1', loaded(0.1)), inGra('gra-2', loaded(0.2))];
    expect(ask({ nodes, inFlight: counted(['gra-1', 30]) })).toMatchObject({ mediaNodeId: 'gra-2' });
    expect(ask({ nodes: [inGra('gra-1', { maxPeers: 30 })], inFlight: counted(['gra-1', 30]) })).toEqual({
      mediaNodeId: null,
      reason: 'all_nodes_full',
    });
  });

  it('[PL20] of nodes that are loaded alike takes the one that was sent the fewest, then the emptier one', () => {
    const nodes = ['a', 'b', 'c', 'd'].map((name) => inGra(name, { peerCount: name === 'd' ? 1 : 2 }));
    const inFlight = counted(['a', 1], ['b', 1]);
    for (const value of [0, 0.3, 0.6, 0.9]) {
      expect(ask({ nodes, inFlight, random: () => value })).toMatchObject({ mediaNodeId: 'd' });
    }
    // One idle node among loaded ones gets its share of the draws and no more, since others see the same report.
    const stale = [inGra('a'), ...['b', 'c', 'd', 'e'].map((name) => inGra(name, loaded(0.4)))];
    expect(ask({ nodes: stale, random: () => 0.3 })).not.toMatchObject({ mediaNodeId: 'a' });
  });

  it.each(['workerCpu', 'controlCpu', 'bandwidth', 'packets'] as const)(
    '[PL10] %s counts as much as any other load',
    (name) => {
      const nodes = [inGra('gra-1', { load: { ...IDLE, [name]: 0.6 } }), inGra('gra-2', loaded(0.2))];
      expect(ask({ nodes })).toMatchObject({ mediaNodeId: 'gra-2' });
      expect(ask({ nodes: [inGra('gra-1', { load: { ...IDLE, [name]: 0.7 } })] }).mediaNodeId).toBeNull();
    },
  );

  it('[PL7] a node that had its joins is passed over while another of the datacenter can take the peer', () => {
    const nodes = [inGra('gra-1'), inGra('gra-2', loaded(0.5)), inSbg('sbg-1')];
    expect(ask({ nodes, joins: counted(['gra-1', 100]), room: hosting(['gra-1', 5]) })).toEqual({
      mediaNodeId: 'gra-2',
      reason: 'least_loaded_local',
    });
  });

  it('[PL21] when all of the datacenter had theirs, it goes on as if none had', () => {
    const nodes = [inGra('gra-1', loaded(0.3)), inGra('gra-2', loaded(0.1))];
    const joins = counted(['gra-1', 100], ['gra-2', 150]);
    expect(ask({ nodes: [...nodes, inSbg('sbg-1')], joins })).toEqual({
      mediaNodeId: 'gra-2',
      reason: 'over_join_limit',
    });
    expect(ask({ nodes, joins, room: hosting(['gra-1', 5]), datacenters: [datacenter('sbg')] })).toEqual({
      mediaNodeId: 'gra-1',
      reason: 'over_join_limit_remote',
    });
  });

  it('[PL8] a node with its share of the room is passed over while another of the datacenter is not', () => {
    const nodes = [inGra('gra-1'), inGra('gra-2', loaded(0.5)), inSbg('sbg-1')];
    expect(ask({ nodes, room: hosting(['gra-1', 200], ['gra-2', 60]) })).toMatchObject({
      mediaNodeId: 'gra-2',
    });
    expect(ask({ nodes, room: hosting(['gra-1', 200], ['gra-2', 200]) })).toMatchObject({
      mediaNodeId: 'gra-1',
    });
  });

  it('[PL8] a packed node that is overloaded spills over', () => {
    const nodes = [inGra('gra-1', loaded(0.7)), inGra('gra-2')];
    expect(ask({ nodes, room: hosting(['gra-1', 5]) })).toMatchObject({ mediaNodeId: 'gra-2' });
  });

  it('[HL30] a node that nobody seems to reach is passed over for others of its datacenter, and for no other datacenter', () => {
    const unreached = inGra('gra-1', { isUnreached: true });
    const room = hosting(['gra-1', 5]);
    expect(ask({ nodes: [unreached, inGra('gra-2'), inSbg('sbg-1')], room })).toMatchObject({
      mediaNodeId: 'gra-2',
    });
    expect(ask({ nodes: [unreached, inSbg('sbg-1')], room })).toMatchObject({ mediaNodeId: 'gra-1' });
    expect(ask({ nodes: [unreached, inGra('gra-2', { peerCount: 1_000 }), inSbg('sbg-1')] })).toMatchObject({
      mediaNodeId: 'gra-1',
    });
  });

  it('[HL32] a node that nobody reaches for sure is passed over as long as any other can take the peer', () => {
    const unreached = inGra('gra-1', { isUnreached: true, isSurelyUnreached: true });
    expect(ask({ nodes: [unreached, inSbg('sbg-1')], room: hosting(['gra-1', 5]) })).toEqual({
      mediaNodeId: 'sbg-1',
      reason: 'least_loaded_remote',
    });
    expect(ask({ nodes: [unreached, inSbg('sbg-1', { peerCount: 1_000 })] })).toMatchObject({
      mediaNodeId: 'gra-1',
    });
    expect(
      ask({ nodes: [unreached, inSbg('sbg-1', { isUnreached: true, isSurelyUnreached: true })] }),
    ).toMatchObject({
      mediaNodeId: 'gra-1',
    });
  });

  it('[PL9] goes through the datacenters in their order, and then anywhere else', () => {
    const far = mediaNodeRecord('rbx-1', { datacenter: datacenter('rbx') });
    const nodes = [far, inSbg('sbg-1'), inGra('gra-1', { peerCount: 1_000 })];
    const datacenters = [datacenter('gra'), datacenter('sbg')];
    expect(ask({ nodes, datacenters, room: hosting(['rbx-1', 5]) })).toEqual({
      mediaNodeId: 'sbg-1',
      reason: 'least_loaded_remote',
    });
    expect(ask({ nodes: [far], datacenters })).toMatchObject({ mediaNodeId: 'rbx-1' });
  });
});
