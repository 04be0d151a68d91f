import { describe, expect, it } from 'vitest';
import { judgePlacement } from './sweeper.ts';

const times = { leaseMs: 5_000, resumeWithinMs: 15_000 };

describe('judgePlacement', () => {
  it.each([
    [0, 0, 'keep'],
    [20_000, 60_000, 'keep'],
    [20_001, 0, 'ask_media_node'],
    [20_001, 10_000, 'ask_media_node'],
    [20_001, 10_001, 'remove'],
  ])('[SE7] edge missing for %i ms and node for %i ms: %s', (edgeMissingMs, nodeMissingMs, verdict) => {
    expect(judgePlacement({ ...times, edgeMissingMs, nodeMissingMs })).toBe(verdict);
  });
});
