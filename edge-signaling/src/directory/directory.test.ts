import { KeyRing, ManualClock, MemoryRegistry } from '@plenary/cluster';
import type { EdgeRecord } from '@plenary/cluster';
import { mediaNodeRecord } from '@plenary/cluster/testing/samples';
import { DATACENTER_ID, EDGE_ID, INCARNATION } from '@plenary/cluster/ids';
import { describe, expect, it } from 'vitest';
import { Directory } from './directory.ts';
import { EdgeProofs } from './edge-proofs.ts';

const SECRET = 'a-secret-of-more-than-thirty-two-characters';
const proofsOf = (...secrets: [string, ...string[]]): EdgeProofs =>
  new EdgeProofs(KeyRing.derive(secrets, 'edge-address'));
const PROOFS = proofsOf(SECRET);

const edgeRecord = (id: string, proofs = PROOFS): EdgeRecord => {
  const edge = {
    edgeId: EDGE_ID.parse(id),
    incarnation: INCARNATION.parse('11111111-1111-4111-8111-111111111111'),
    publicUrl: `https://${id}.example`,
  };
  return {
    ...edge,
    datacenter: DATACENTER_ID.parse('gra'),
    state: 'serving',
    proof: proofs.proofOf(edge),
  };
};

/** Returns a directory that throws every fault that it reports, so that a fault fails the test. */
const directoryOf = (
  registry: MemoryRegistry,
  clock: ManualClock,
  maxGone?: number,
  proofs = PROOFS,
): Directory =>
  new Directory({
    registry,
    clock,
    reportFault: (_where, fault) => {
      throw fault;
    },
    lapsedForMs: 10_000,
    isProven: (edge) => proofs.isProven(edge),
    ...(maxGone === undefined ? {} : { maxGone }),
  });

describe('Directory', () => {
  it('[NS7] [NS13] sends no client to an edge that does not prove its address by a key of the cluster', async () => {
    const clock = new ManualClock();
    const registry = new MemoryRegistry(clock);
    const next = `${SECRET}-next`;
    const [old, own] = [edgeRecord('old'), edgeRecord('own', proofsOf(next, SECRET))];
    const other = { publicUrl: 'https://evil.example' };
    const otherLife = INCARNATION.parse('22222222-2222-4222-8222-222222222222');
    const { proof: _none, ...bare } = edgeRecord('bare');
    const forged: EdgeRecord[] = [
      bare,
      { ...edgeRecord('moved'), ...other },
      { ...edgeRecord('reborn'), incarnation: otherLife },
      { ...edgeRecord('named'), proof: own.proof },
      edgeRecord('guessed', proofsOf('another-secret-of-more-than-32-characters')),
    ];
    for (const edge of [old, own, ...forged]) await registry.announceEdge(edge, 60_000);
    const directory = directoryOf(registry, clock, undefined, proofsOf(next, SECRET));

    await directory.refresh();

    expect(directory.servingEdges(64)).toEqual([old, own]);
    expect(directory.edges).toEqual([old, own]);
    expect(directory.servingEdges(64, 'announced')).toHaveLength(2 + forged.length);
    expect(directory.unprovenEdges).toHaveLength(forged.length);
  });

  it('[NS7] [NS13] does not count an edge without a proof as missing, because it may hold sessions', async () => {
    const clock = new ManualClock();
    const registry = new MemoryRegistry(clock);
    const directory = directoryOf(registry, clock);
    const { proof: _none, ...bare } = edgeRecord('bare');
    await registry.announceEdge(bare, 60_000);
    await directory.refresh();

    clock.advance(5_000);
    await directory.refresh();

    expect(directory.missingForMs(bare.edgeId)).toBe(0);
  });

  it('[LC22] finds at once that a media node has withdrawn its registration', async () => {
    const clock = new ManualClock();
    const registry = new MemoryRegistry(clock);
    const directory = directoryOf(registry, clock);
    const node = mediaNodeRecord('node');
    await registry.announceMediaNode(node, 10_000);
    await directory.refresh();
    const before = await directory.isAnnouncedNow(node.mediaNodeId);

    await registry.withdrawMediaNode(node.mediaNodeId, node.incarnation);

    expect([before, await directory.isAnnouncedNow(node.mediaNodeId)]).toEqual([true, false]);
  });

  it('[SE43] remembers the URL of an edge for a day after the edge is gone', async () => {
    const clock = new ManualClock();
    const registry = new MemoryRegistry(clock);
    const directory = directoryOf(registry, clock);
    await registry.announceEdge(edgeRecord('short'), 1_000);
    await directory.refresh();

    clock.advance(5_000);
    await directory.refresh();

    expect(directory.edges).toEqual([]);
    expect(directory.rememberedEdgeUrls()).toEqual(['https://short.example']);

    clock.advance(24 * 3_600_000);
    await directory.refresh();

    expect(directory.rememberedEdgeUrls()).toEqual([]);
  });

  it('[EN44] remembers at most 256 edges, those announced longest, when forged edges flood the registry', async () => {
    const clock = new ManualClock();
    const registry = new MemoryRegistry(clock);
    const directory = directoryOf(registry, clock);
    const real = ['real-1', 'real-2', 'zzz'].map((id) => edgeRecord(id));
    const renewRealAndRefresh = async (): Promise<void> => {
      for (const edge of real) await registry.announceEdge(edge, 60_000);
      await directory.refresh();
      clock.advance(1_000);
    };
    await renewRealAndRefresh();
    await renewRealAndRefresh();

    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < 400; index += 1)
        await registry.announceEdge(edgeRecord(`forged-${round}-${index}`), 1_500);
      await renewRealAndRefresh();

      const remembered = directory.rememberedEdgeUrls();
      expect(remembered).toHaveLength(256);
      expect(remembered).toEqual(expect.arrayContaining(real.map(({ publicUrl }) => publicUrl)));
      const named = directory.servingEdges(64);
      expect(named).toHaveLength(64);
      expect(named).toEqual(expect.arrayContaining(real));
    }

    clock.advance(5_000);
    await renewRealAndRefresh();

    expect(directory.servingEdges(64)).toEqual(real);
  });

  it('[SE12] names the edges that take clients, in the order of their ids', async () => {
    const clock = new ManualClock();
    const registry = new MemoryRegistry(clock);
    const directory = directoryOf(registry, clock);
    await registry.announceEdge(edgeRecord('b'), 60_000);
    await directory.refresh();
    clock.advance(1_000);
    await registry.announceEdge(edgeRecord('a'), 60_000);
    await registry.announceEdge({ ...edgeRecord('c'), state: 'draining' }, 60_000);

    await directory.refresh();

    expect(directory.servingEdges(64).map(({ edgeId }) => edgeId)).toEqual(['a', 'b']);
    expect(directory.servingEdges(1).map(({ edgeId }) => edgeId)).toEqual(['b']);
  });

  it('[EN45] counts no announced edge or node as missing when forged edges flood the registry', async () => {
    const clock = new ManualClock();
    const registry = new MemoryRegistry(clock);
    const directory = directoryOf(registry, clock, 100);
    const node = mediaNodeRecord('gra-1');
    const edge = edgeRecord('real');
    const renewAndRefresh = async (): Promise<void> => {
      await registry.announceMediaNode(node, 3_600_000);
      await registry.announceEdge(edge, 3_600_000);
      await directory.refresh();
    };
    await renewAndRefresh();

    clock.advance(600_000);
    for (let index = 0; index < 101; index += 1)
      await registry.announceEdge(edgeRecord(`forged-${index}`), 1_000);
    await renewAndRefresh();

    expect([directory.missingForMs(node.mediaNodeId), directory.missingForMs(edge.edgeId)]).toEqual([0, 0]);

    // An edge that goes together with more edges than are remembered is missing from then on, not from the beginning.
    await registry.withdrawEdge(edge.edgeId, edge.incarnation);
    clock.advance(1_000);
    await directory.refresh();
    clock.advance(500);

    expect(directory.edges).toEqual([]);
    expect(directory.missingForMs(edge.edgeId)).toBe(1_500);
    expect(directory.missingForMs(node.mediaNodeId)).toBe(0);
  });
});
