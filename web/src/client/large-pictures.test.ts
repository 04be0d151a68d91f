import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LONGEST_SIDE, MOST_PIXELS } from './large-pictures.ts';
import { eventually } from './testing/eventually.ts';
import { consumerOffer, loggedEvent, snapshotOf, trackOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { ScriptedEdge } from './testing/scripted-edge.ts';
import type { Meeting } from './index.ts';

const GOOD = trackOf('t-good', 'peer-b', 'camera');
const BAD = trackOf('t-bad', 'peer-c', 'camera');
const NEXT = trackOf('t-next', 'peer-c', 'screen');
const VOICE = trackOf('t-voice', 'peer-c', 'microphone');

const offerOf = ({ trackId, peerId, source }: typeof GOOD) =>
  consumerOffer(`c-${trackId}`, { trackId, peerId, source });

const statusOf = (meeting: Meeting, trackId: string) =>
  [...meeting.getSnapshot().remoteTracks.values()].find((track) => track.trackId === trackId);

function sizes(meeting: Meeting, trackId: string, width: number, height: number): void {
  const mediaTrack = statusOf(meeting, trackId)?.mediaTrack;
  if (mediaTrack === undefined) throw new Error(`${trackId} is not received`);
  vi.spyOn(mediaTrack, 'getSettings').mockReturnValue({ width, height });
}

describe('pictures that no browser can bear', () => {
  beforeEach(() => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('[MS11] are let go of with all that their person shows, and the edge is told; everything else plays on', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [GOOD, BAD, VOICE] });
    edge.consumers = [GOOD, BAD, VOICE].map((track) => offerOf(track));
    const meeting = meet(edge);
    await meeting.join();
    await eventually(() => expect(statusOf(meeting, 't-bad')?.status).toBe('live'));
    sizes(meeting, 't-good', LONGEST_SIDE, Math.floor(MOST_PIXELS / LONGEST_SIDE));
    sizes(meeting, 't-bad', 640, 360);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(statusOf(meeting, 't-bad')?.status).toBe('live');
    sizes(meeting, 't-bad', 16_383, 16_383);
    await vi.advanceTimersByTimeAsync(500);
    expect(statusOf(meeting, 't-bad')?.status).toBe('failed');
    expect(edge.requests('consumer.failed')).toMatchObject([{ consumerId: 'c-t-bad', trackId: 't-bad' }]);
    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'track.published', track: NEXT }));
    await eventually(() => expect(statusOf(meeting, 't-next')?.status).toBe('failed'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(edge.requests('subscribe')).toEqual([]);
    for (const trackId of ['t-good', 't-voice']) expect(statusOf(meeting, trackId)?.status).toBe('live');
  });
});
