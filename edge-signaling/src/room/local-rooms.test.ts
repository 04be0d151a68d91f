import { EVENT_ID } from '@plenary/cluster/ids';
import { peer, track } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { EdgeParts, ROOM } from '../testing/edge-parts.ts';

describe('LocalRooms', () => {
  it('[SE41] forgets a track that ended, and keeps the others', async () => {
    const parts = new EdgeParts();
    const placement = await parts.place('ann', 'node');
    parts.hold(placement);
    const { localRooms, roomLog } = parts;
    const { mediaNodeId: homeNodeId, peerId } = placement;
    const [ended, living] = [track('ended'), track('living')];
    localRooms.tracksOf(ROOM).learn(
      [ended, living].map((trackId) => ({
        trackId,
        peerId,
        kind: 'audio',
        source: 'microphone',
        homeNodeId,
      })),
    );
    localRooms.note(ROOM, {
      id: EVENT_ID.parse('5-0'),
      previousId: EVENT_ID.parse('4-0'),
      event: { type: 'track.ended', trackId: ended, peerId: peer('ann'), reason: 'unpublished' },
    });
    const { found } = await localRooms.tracksOf(ROOM).find(roomLog, ROOM, [ended, living]);
    expect([...found.keys()]).toEqual([living]);
    expect(localRooms.newestEventId(ROOM)).toBe('5-0');
  });
});
