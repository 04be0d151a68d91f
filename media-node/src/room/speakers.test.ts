import { ROUTER_ID, SPEAKERS_REPEAT_MS, TRACK_ID } from '@plenary/cluster';
import { describe, expect, test } from 'vitest';
import { testPeerId } from '../testing/test-node.ts';
import { MAX_SPEAKERS, RoomSpeakers, rankSpeakers } from './speakers.ts';
import type { Speaker } from './speakers.ts';

const volume = (name: string, volumeDbov: number) => ({ trackId: TRACK_ID.parse(name), volumeDbov });
const peerOf = (trackId: string) =>
  trackId === 'unknown' ? undefined : testPeerId(trackId.replace(/\d$/, ''));

describe('speakers', () => {
  test('[SP1] are ranked by volume, once per peer, and bounded', () => {
    expect(
      rankSpeakers([volume('a1', -50), volume('b1', -20), volume('a2', -30), volume('unknown', -1)], peerOf),
    ).toEqual([
      { peerId: 'b', volumeDbov: -20 },
      { peerId: 'a', volumeDbov: -30 },
    ]);
    const many = Array.from({ length: 30 }, (_unused, index) => volume(`${'x'.repeat(index + 1)}1`, -index));
    expect(rankSpeakers(many, peerOf)).toHaveLength(MAX_SPEAKERS);
  });

  test('[SP3] are announced only when they change, over all routers, with an empty list for silence', () => {
    const told: (readonly Speaker[])[] = [];
    const speakers = new RoomSpeakers(peerOf, (now) => told.push(now));
    const [one, two] = [ROUTER_ID.parse('one'), ROUTER_ID.parse('two')];
    speakers.volumesChanged(one, []);
    expect(told).toHaveLength(0);
    speakers.volumesChanged(one, [volume('a1', -40)]);
    speakers.volumesChanged(one, [volume('a1', -44)]);
    expect(told).toHaveLength(1);
    speakers.volumesChanged(one, [volume('a1', -20)]);
    speakers.volumesChanged(two, [volume('b1', -30)]);
    expect(told.at(-1)?.map(({ peerId }) => peerId)).toEqual(['a', 'b']);
    speakers.volumesChanged(one, []);
    speakers.routerClosed(two);
    expect(told.at(-1)).toEqual([]);
    expect(told).toHaveLength(5);
  });

  test('[SP4] are announced again while they continue, since a notice may be lost; silence is not', () => {
    let nowMs = 0;
    const told: (readonly Speaker[])[] = [];
    const speakers = new RoomSpeakers(
      peerOf,
      (now) => told.push(now),
      () => nowMs,
    );
    const router = ROUTER_ID.parse('one');
    speakers.volumesChanged(router, [volume('a1', -40)]);
    nowMs = SPEAKERS_REPEAT_MS - 1;
    speakers.volumesChanged(router, [volume('a1', -40)]);
    expect(told).toHaveLength(1);
    nowMs = SPEAKERS_REPEAT_MS;
    speakers.volumesChanged(router, [volume('a1', -40)]);
    expect(told).toHaveLength(2);
    speakers.volumesChanged(router, []);
    nowMs *= 3;
    speakers.volumesChanged(router, []);
    expect(told).toHaveLength(3);
  });
});
