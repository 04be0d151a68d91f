import { expect, test } from 'vitest';
import { isPathBroken } from './path-evidence.ts';
import type { MediaCounts } from './path-evidence.ts';

const counts = (
  sentByNode: number | undefined,
  sentByClient: number | undefined,
  receivedByNode: number | undefined,
): MediaCounts => ({ sentByNode, sentByClient, receivedByNode });

test.each<[string, boolean, MediaCounts, MediaCounts]>([
  ['the node sends', true, counts(1_000, 0, 0), counts(1_001, 0, 0)],
  ['the client sends and the node gets nothing', true, counts(0, 0, 700), counts(0, 500, 700)],
  ['the client sends and the node gets it', false, counts(0, 0, 700), counts(0, 900, 800)],
  ['the packets of the client may still be in flight', false, counts(0, 0, 700), counts(0, 499, 700)],
  ['neither side sends', false, counts(1_000, 50, 50), counts(1_000, 50, 50)],
  ['the node never reports', false, counts(undefined, 0, undefined), counts(undefined, 5_000, undefined)],
  ['the node reports only once', false, counts(undefined, 0, undefined), counts(1_000, 5_000, 100)],
])('[SE51] when %s while nothing arrives at the client, broken is %s', (_, broken, before, now) => {
  expect(isPathBroken(before, now)).toBe(broken);
});
