import { ManualClock } from '@plenary/cluster';
import { mediaNode } from '@plenary/cluster/testing/samples';
import { expect, it } from 'vitest';
import { SILENT_REST_MS, SilentNodes } from './silent-nodes.ts';

const NODE = mediaNode('node');

it('[HL42] [HL44] a node that lets an admission time out rests, and then one person tries it', () => {
  const clock = new ManualClock();
  const silent = new SilentNodes(clock);
  silent.sent(NODE);
  expect(silent.rested.size).toBe(0);
  const beforeMs = clock.monotonicMs();
  clock.advance(1);
  silent.timedOut(NODE);
  expect([...silent.rested]).toEqual([NODE]);
  expect(silent.isSilentSince(NODE, beforeMs)).toBe(true);
  expect(silent.isSilentSince(NODE, clock.monotonicMs())).toBe(false);
  clock.advance(SILENT_REST_MS);
  expect(silent.rested.size).toBe(0);
  silent.sent(NODE);
  expect([...silent.rested]).toEqual([NODE]);
  silent.answered(NODE);
  expect(silent.rested.size).toBe(0);
});
