import { EPOCH } from '@plenary/cluster';
import type { StoredTrack } from '@plenary/cluster';
import { MAX_INITIAL_CONSUMERS } from '@plenary/cluster/protocol';
import { mediaNode, peer, track } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { initialTracks } from './placer.ts';

describe('initialTracks', () => {
  const stored = (name: string, owner: string, kind: 'audio' | 'video'): StoredTrack => ({
    trackId: track(name),
    peerId: peer(owner),
    kind,
    source: kind === 'audio' ? 'microphone' : 'camera',
    paused: false,
    homeNodeId: mediaNode('node'),
    epoch: EPOCH.parse(1),
  });
  const view = (tracks: StoredTrack[]) => ({ tracks, occupancy: { peerCount: 0, peersByNode: new Map() } });

  it('[SE26] gives the tracks of others, all audio first', () => {
    const tracks = [
      stored('v1', 'bob', 'video'),
      stored('own', 'ann', 'audio'),
      stored('a1', 'bob', 'audio'),
    ];
    expect(initialTracks(view(tracks), peer('ann')).map(({ trackId }) => trackId)).toEqual(['a1', 'v1']);
  });

  it('[SE26] gives no more than the limit', () => {
    const tracks = Array.from({ length: 100 }, (_, index) => stored(`t${index}`, 'bob', 'audio'));
    expect(initialTracks(view(tracks), peer('ann'))).toHaveLength(MAX_INITIAL_CONSUMERS);
  });
});
