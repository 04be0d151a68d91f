import { describe, expect, it } from 'vitest';
import { mediaNode, mediaNodeRecord } from '../testing/samples.ts';
import { JOIN_INTERVAL_MS, RecentPlacements } from './recent-placements.ts';

const NODE = mediaNode('node-a');
const reported = (reportedAtMs: number, recentJoins = 0) =>
  mediaNodeRecord('node-a', { reportedAtMs, recentJoins });

describe('RecentPlacements', () => {
  it('[PL6] a placement is in flight until a report that was made after it', () => {
    const recent = new RecentPlacements();
    recent.onRead([reported(1)], 10_000);
    recent.note(NODE, 10_100);
    // The same report says nothing new, and the next one may have been made before the placement.
    recent.onRead([reported(1)], 11_000);
    recent.onRead([reported(2)], 12_000);
    expect(recent.inFlight().get(NODE)).toBe(1);
    recent.onRead([reported(2)], 13_000);
    expect(recent.inFlight().get(NODE)).toBe(1);
    recent.onRead([reported(3)], 14_000);
    expect(recent.inFlight().get(NODE)).toBe(0);
  });

  it('[PL6] a node that does not say when it reports is taken to report at each reading', () => {
    const recent = new RecentPlacements();
    recent.note(NODE, 10_000);
    for (const atMs of [10_500, 11_500, 12_500]) recent.onRead([reported(0)], atMs);
    expect(recent.inFlight().get(NODE)).toBe(0);
  });

  it('[PL7] joins are one’s own within the interval', () => {
    const recent = new RecentPlacements();
    recent.note(NODE, 10_000);
    recent.note(NODE, 10_400);
    for (const [index, atMs] of [10_500, 11_500, 12_500].entries())
      recent.onRead([reported(index + 1)], atMs);
    expect(recent.inFlight().get(NODE)).toBe(0);
    expect(recent.joins(12_500).get(NODE)).toBe(2);
    expect(recent.joins(10_000 + JOIN_INTERVAL_MS).get(NODE)).toBe(1);
    expect(recent.joins(10_400 + JOIN_INTERVAL_MS).get(NODE)).toBe(0);
  });

  it('[PL7] joins are what the node reports of all edges, and what is in flight, when that is more', () => {
    const recent = new RecentPlacements();
    recent.onRead([reported(1, 40)], 10_000);
    recent.note(NODE, 10_100);
    expect(recent.joins(10_100).get(NODE)).toBe(41);
  });

  it('[PL6] forgets nodes that are gone', () => {
    const recent = new RecentPlacements();
    recent.note(NODE, 10_000);
    recent.onRead([], 11_000);
    expect(recent.inFlight().has(NODE)).toBe(true);
    recent.onRead([], 100_000);
    expect(recent.inFlight().has(NODE)).toBe(false);
  });
});
