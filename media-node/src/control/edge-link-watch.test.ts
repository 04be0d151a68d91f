import { ManualClock, silentLogger } from '@plenary/cluster';
import type { EdgeRecord } from '@plenary/cluster';
import { edge } from '@plenary/cluster/testing/samples';
import { beforeEach, describe, expect, it } from 'vitest';
import { EdgeLinkWatch } from './edge-link-watch.ts';

type Edges = readonly Pick<EdgeRecord, 'edgeId' | 'state'>[];

const SERVING: Edges = [{ edgeId: edge('edge-a'), state: 'serving' }];
let clock: ManualClock;
let changes: boolean[];
let edges: Edges | Error;
let hasLink: boolean;
let watch: EdgeLinkWatch;
beforeEach(() => {
  clock = new ManualClock();
  changes = [];
  edges = SERVING;
  hasLink = false;
  watch = watchWith(1_000);
});

const watchWith = (leaseMs: number): EdgeLinkWatch =>
  new EdgeLinkWatch({
    hasEdgeLink: () => hasLink,
    liveEdges: async () => (edges instanceof Error ? Promise.reject(edges) : Promise.resolve(edges)),
    controlUrl: 'http://node:4000',
    leaseMs,
    clock,
    onChange: (isUnlinked) => changes.push(isUnlinked),
    logger: silentLogger(),
  });

async function lookFor(ms: number): Promise<void> {
  for (let passed = 0; passed <= ms; passed += 2_500) {
    await watch.check();
    clock.advance(2_500);
  }
}

describe('whether edges have a link to a media node', () => {
  it('[HL16] is reported missing after edges have served for ten seconds, and not before', async () => {
    await lookFor(7_500);
    expect(watch.isUnlinked).toBe(false);
    await watch.check();
    expect(watch.isUnlinked).toBe(true);
    await watch.check();
    expect(changes).toEqual([true]);
  });

  it('[HL61] is not expected while no edge serves: a node alone, a fresh cluster, draining edges', async () => {
    edges = [];
    await lookFor(60_000);
    edges = [{ edgeId: edge('edge-a'), state: 'draining' }];
    await lookFor(60_000);
    expect(changes).toEqual([]);
  });

  it('[HL16] restarts the ten seconds when edges come, go or link in between', async () => {
    await lookFor(7_500);
    edges = [];
    await watch.check();
    edges = SERVING;
    await lookFor(7_500);
    hasLink = true;
    await watch.check();
    hasLink = false;
    await lookFor(7_500);
    expect(changes).toEqual([]);
  });

  it('[HL60] is no longer reported once an edge has a link, or no edge serves', async () => {
    await lookFor(10_000);
    hasLink = true;
    watch.edgeLinkOpened();
    expect(watch.isUnlinked).toBe(false);
    hasLink = false;
    await lookFor(10_000);
    edges = [];
    await watch.check();
    expect(changes).toEqual([true, false, true, false]);
  });

  it('[HL61] keeps its state while the registry cannot be read', async () => {
    await lookFor(10_000);
    edges = new Error('away');
    await lookFor(10_000);
    expect(changes).toEqual([true]);
  });

  it('[HL16] waits for the record of a dead edge to lapse', async () => {
    watch = watchWith(30_000);
    await lookFor(55_000);
    expect(watch.isUnlinked).toBe(false);
    await lookFor(5_000);
    expect(watch.isUnlinked).toBe(true);
  });
});
