import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Pace } from './pace.ts';
import { eventually } from './testing/eventually.ts';
import { consumerOffer, loggedEvent, snapshotOf, trackOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { ScriptedEdge } from './testing/scripted-edge.ts';

test('a pace lets some through at once, and the rest in its time', () => {
  const pace = new Pace({ atOnce: 2, aSecond: 4 });
  expect([1_000, 1_000].map((nowMs) => pace.takeOrWaitMs(nowMs))).toEqual([0, 0]);
  expect(pace.takeOrWaitMs(1_000)).toBe(250);
  expect(pace.takeOrWaitMs(1_100)).toBe(150);
  expect(pace.takeOrWaitMs(1_250)).toBe(0);
  expect([9_000, 9_000, 9_000].map((nowMs) => pace.takeOrWaitMs(nowMs))).toEqual([0, 0, 250]);
});

describe('tracks that others publish and end without end', () => {
  beforeEach(() => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('[BU22] cost their audience a few requests a second, and every track that stays is had', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf();
    edge.on.subscribe = ({ trackIds }) => ({
      consumers: trackIds.map((trackId) =>
        consumerOffer(`c-${trackId}`, { trackId, peerId: 'peer-b', source: 'microphone' }),
      ),
      failed: [],
    });
    const meeting = meet(edge);
    await meeting.join();
    let eventId = 100;
    const say = (event: Parameters<typeof loggedEvent>[2]): void => {
      eventId += 1;
      edge.notify('event', loggedEvent(`${eventId}-0`, `${eventId - 1}-0`, event));
    };
    for (let count = 0; count < 200; count += 1) {
      const track = trackOf(`t-${count}`, 'peer-b', 'microphone');
      say({ type: 'track.published', track });
      await vi.advanceTimersByTimeAsync(20);
      if (count < 195)
        say({ type: 'track.ended', trackId: track.trackId, peerId: track.peerId, reason: 'unpublished' });
    }
    // Four seconds, and what goes at once.
    expect(edge.requests('subscribe').length).toBeLessThanOrEqual(8 + 4 * 5);
    await eventually(() => {
      const live = [...meeting.getSnapshot().remoteTracks.values()].filter(({ status }) => status === 'live');
      expect(live.map(({ trackId }) => trackId)).toEqual(
        [195, 196, 197, 198, 199].map((count) => `t-${count}`),
      );
    });
  });
});
