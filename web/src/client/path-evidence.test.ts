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
  ['what the client sent may be on its way', false, counts(0, 0, 700), counts(0, 499, 700)],
  ['nobody sends', false, counts(1_000, 50, 50), counts(1_000, 50, 50)],
  ['nobody says', false, counts(undefined, 0, undefined), counts(undefined, 5_000, undefined)],
  ['it was said once only', false, counts(undefined, 0, undefined), counts(1_000, 5_000, 100)],
])('[SE51] of the path, where %s: broken is %s', (_, broken, before, now) => {
  expect(isPathBroken(before, now)).toBe(broken);
});
