import { FakeMediaStreamTrack } from 'fake-mediastreamtrack';
import { KIND_OF_SOURCE, TRACK_ID, type TrackSource } from '@plenary/cluster/protocol';
import { describe, expect, test } from 'vitest';
import type { RemoteTrack } from '../client/index.ts';
import { meet } from '../client/testing/meet.ts';
import { peerOf, snapshotOf } from '../client/testing/fixtures.ts';
import { ScriptedEdge } from '../client/testing/scripted-edge.ts';
import { headCount, peopleIn } from './people.ts';
import { buildTiles } from './tiles.ts';

describe('people', () => {
  test('[WB2] the user’s previous peer has no tile and no row, and is not counted', async () => {
    const edge = new ScriptedEdge();
    const before = peerOf('before', 'Ada');
    edge.room = snapshotOf({ peers: [before, peerOf('self', 'Ada'), peerOf('ben', 'Ben')], peerCount: 30 });
    const meeting = meet(edge, { previousPeerIds: [before.peerId] });
    await meeting.join();

    const snapshot = meeting.getSnapshot();

    expect(peopleIn(snapshot).map(({ peerId }) => peerId)).toEqual(['self', 'ben']);
    expect(headCount(snapshot)).toBe(29);
    expect(buildTiles(snapshot).map(({ peerId }) => peerId)).toEqual(['ben', 'self']);
  });

  test.each([
    ['nothing else is sent', [], 'nothing-new'],
    ['a microphone is open, of which nothing arrives either', ['voice'], 'no-signal'],
  ] as const)(
    '[WB42] a screen without packets shows its known state if %s',
    async (_what, voices, trouble) => {
      const edge = new ScriptedEdge();
      const ben = peerOf('ben', 'Ben');
      edge.room = snapshotOf({ peers: [peerOf('self', 'Ada'), ben] });
      const meeting = meet(edge);
      await meeting.join();

      const track = (id: string, source: TrackSource): RemoteTrack => ({
        trackId: TRACK_ID.parse(id),
        peerId: ben.peerId,
        kind: KIND_OF_SOURCE[source],
        source,
        status: 'live',
        mediaTrack: undefined,
        publisherPaused: false,
      });
      const tracks = [track('slides', 'screen'), ...voices.map((id) => track(id, 'microphone'))];
      const tiles = buildTiles({
        ...meeting.getSnapshot(),
        remoteTracks: new Map(tracks.map((one) => [one.trackId, one])),
        stalled: new Set(tracks.map(({ trackId }) => trackId)),
      });

      expect(tiles.find(({ source }) => source === 'screen')?.trouble).toBe(trouble);
    },
  );

  test.each([
    ['connecting', true],
    ['reconnecting', true],
    ['connected', false],
  ] as const)(
    '[WB40] while the transports are %s, a video that has not arrived is shown as waiting: %s',
    async (media, waiting) => {
      const edge = new ScriptedEdge();
      const ben = peerOf('ben', 'Ben');
      edge.room = snapshotOf({ peers: [peerOf('self', 'Ada'), ben] });
      const meeting = meet(edge);
      await meeting.join();

      const camera: RemoteTrack = {
        trackId: TRACK_ID.parse('face'),
        peerId: ben.peerId,
        kind: 'video',
        source: 'camera',
        status: 'live',
        mediaTrack: new FakeMediaStreamTrack({ kind: 'video' }),
        publisherPaused: false,
      };
      const remoteTracks = new Map([[camera.trackId, camera]]);
      const tiles = buildTiles({ ...meeting.getSnapshot(), media, remoteTracks });

      expect(tiles.find(({ isSelf }) => !isSelf)?.waiting).toBe(waiting);
    },
  );
});
