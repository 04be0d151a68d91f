import { ManualClock, MemoryRegistry } from '@plenary/cluster';
import type { EdgeRecord } from '@plenary/cluster';
import { mediaNodeRecord } from '@plenary/cluster/testing/samples';
import { DATACENTER_ID, EDGE_ID, INCARNATION } from '@plenary/cluster/ids';
import { describe, expect, it } from 'vitest';
import { Directory } from './directory.ts';

const edgeRecord = (id: string): EdgeRecord => ({
  edgeId: EDGE_ID.parse(id),
  incarnation: INCARNATION.parse('11111111-1111-4111-8111-111111111111'),
  datacenter: DATACENTER_ID.parse('gra'),
  publicUrl: `https://${id}.example`,
  state: 'serving',
});

/** A directory that tolerates no fault. */
const directoryOf = (registry: MemoryRegistry, clock: ManualClock): Directory =>
  new Directory({
    registry,
    clock,
    reportFault: (_where, fault) => {
      throw fault;
    },
    onRead: () => undefined,
  });

describe('Directory', () => {
  it('[SE12] remembers where pages came from for a day after the edge is gone', async () => {
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

  it('[EN13] remembers so many at most, those that it saw last, whatever is written into the registry', async () => {
    const clock = new ManualClock();
    const registry = new MemoryRegistry(clock);
    const directory = directoryOf(registry, clock);
    for (let index = 0; index < 400; index += 1)
      await registry.announceEdge(edgeRecord(`edge-${index}`), 1_000);
    await directory.refresh();
    expect(directory.rememberedEdgeUrls()).toHaveLength(256);
    clock.advance(5_000);
    await registry.announceEdge(edgeRecord('last'), 1_000);
    await directory.refresh();
    expect(directory.rememberedEdgeUrls().at(-1)).toBe(edgeRecord('last').publicUrl);
  });

  it('[EN13] nothing that the registry contains is missing, however much is written into it', async () => {
    const clock = new ManualClock();
    const registry = new MemoryRegistry(clock);
    const directory = directoryOf(registry, clock);
    const node = mediaNodeRecord('gra-1');
    const edge = edgeRecord('real');
    const stay = async (): Promise<void> => {
      await registry.announceMediaNode(node, 3_600_000);
      await registry.announceEdge(edge, 3_600_000);
      await directory.refresh();
    };
    await stay();
    clock.advance(600_000);
    for (let index = 0; index < 10_001; index += 1)
      await registry.announceEdge(edgeRecord(`forged-${index}`), 1_000);
    await stay();
    expect([directory.missingForMs(node.mediaNodeId), directory.missingForMs(edge.edgeId)]).toEqual([0, 0]);

    // One that goes together with more than are remembered is missing since then, not since ever.
    await registry.withdrawEdge(edge.edgeId, edge.incarnation);
    clock.advance(1_000);
    await directory.refresh();
    expect(directory.edges).toEqual([]);
    clock.advance(500);
    expect(directory.missingForMs(edge.edgeId)).toBe(1_500);
    expect(directory.missingForMs(node.mediaNodeId)).toBe(0);
  });
});
