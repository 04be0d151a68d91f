import { expect, it } from 'vitest';
import { foldersOf, mutualFolders, treeLines } from './tree.ts';

const folders = foldersOf([
  {
    path: 'edge/src/main.ts',
    imports: ['edge/src/room/room.ts', 'cluster/src/ids.ts', 'cluster/src/keys/a.ts'],
  },
  { path: 'edge/src/room/room.ts', imports: ['edge/src/room/peer.ts', 'edge/src/clock.ts'] },
  { path: 'edge/src/room/peer.ts', imports: ['cluster/src/ids.ts'] },
]);

it('tells of each folder what its files import from others', () => {
  expect(treeLines(folders)).toEqual([
    'edge/src (1) → @plenary/cluster 2, src/room 1',
    'edge/src/room (2) → src 1, @plenary/cluster 1',
  ]);
});

it('tells which folders import each other', () => {
  expect(mutualFolders(folders)).toEqual(['edge/src ⇄ edge/src/room (1 and 1)']);
});
