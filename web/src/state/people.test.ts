import { describe, expect, test } from 'vitest';
import { meet } from '../client/testing/meet.ts';
import { peerOf, snapshotOf } from '../client/testing/fixtures.ts';
import { ScriptedEdge } from '../client/testing/scripted-edge.ts';
import { headCount, peopleIn } from './people.ts';
import { buildTiles } from './tiles.ts';

describe('people', () => {
  test('[WB2] whom one was before has no tile, no row, and does not count', async () => {
    const edge = new ScriptedEdge();
    const before = peerOf('before', 'Ada');
    edge.room = snapshotOf({ peers: [before, peerOf('self', 'Ada'), peerOf('ben', 'Ben')], peerCount: 30 });
    const meeting = meet(edge, { formerPeerIds: [before.peerId] });
    await meeting.join();
    const snapshot = meeting.getSnapshot();
    expect(peopleIn(snapshot).map(({ peerId }) => peerId)).toEqual(['self', 'ben']);
    expect(headCount(snapshot)).toBe(29);
    expect(buildTiles(snapshot).map(({ peerId }) => peerId)).toEqual(['ben', 'self']);
  });
});
