import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Meeting } from './index.ts';
import { eventually } from './testing/eventually.ts';
import { consumerOffer, snapshotOf, trackOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { ScriptedEdge, refuse } from './testing/scripted-edge.ts';

/** What the browser counts of every receiver. */
let framesDecoded = 0;

beforeEach(() => {
  framesDecoded = 0;
  vi.spyOn(FakeHandler.prototype, 'getReceiverStats').mockImplementation(() =>
    Promise.resolve(new Map([['in', { type: 'inbound-rtp', framesDecoded }]])),
  );
});
afterEach(() => {
  vi.restoreAllMocks();
});

const CAMERA = trackOf('t-camera', 'peer-b', 'camera');

async function watching(): Promise<{ edge: ScriptedEdge; meeting: Meeting }> {
  const edge = new ScriptedEdge();
  edge.room = snapshotOf({ tracks: [CAMERA] });
  edge.consumers = [consumerOffer('old', { trackId: 't-camera', peerId: 'peer-b', source: 'camera' })];
  const meeting = meet(edge);
  await meeting.join();
  await eventually(() => expect(shown(meeting)?.status).toBe('live'));
  return { edge, meeting };
}

const shown = (meeting: Meeting) => [...meeting.getSnapshot().remoteTracks.values()][0];
const superseded = { consumerId: 'old', trackId: 't-camera' };
const resumed = (edge: ScriptedEdge) =>
  edge.requests('consumers.update').flatMap(({ consumers }) => consumers.map(({ consumerId }) => consumerId));

describe('a consumer whose track comes another way', () => {
  test('[GW17] is replaced when the new one plays, and let go then', async () => {
    const { edge, meeting } = await watching();
    const before = shown(meeting)?.mediaTrack;
    edge.notify('consumer.superseded', superseded);
    edge.notify('consumer.superseded', superseded);
    await eventually(() =>
      expect(edge.requests('consumers.update').flatMap(({ consumers }) => consumers)).toContainEqual(
        expect.objectContaining({ consumerId: 'consumer-1', paused: false }),
      ),
    );
    expect(edge.requests('subscribe')).toMatchObject([{ trackIds: ['t-camera'] }]);
    expect(shown(meeting)?.mediaTrack).toBe(before);
    expect(edge.requests('unsubscribe')).toEqual([]);
    framesDecoded = 1;
    await eventually(() => expect(edge.requests('unsubscribe')).toMatchObject([{ consumerIds: ['old'] }]));
    expect(shown(meeting)).toMatchObject({ status: 'live' });
    expect(shown(meeting)?.mediaTrack).not.toBe(before);
    expect(before?.readyState).toBe('ended');
  });

  test('[GW17] that ends before the new one plays is replaced at once, and never subscribed to twice', async () => {
    const { edge, meeting } = await watching();
    const before = shown(meeting)?.mediaTrack;
    edge.notify('consumer.superseded', superseded);
    edge.notify('consumer.closed', superseded);
    await eventually(() => expect(shown(meeting)?.mediaTrack).not.toBe(before));
    expect(shown(meeting)?.status).toBe('live');
    expect(edge.requests('subscribe')).toHaveLength(1);
  });

  test('[MB2] goes on when the one that was to replace it ends before it plays, and is replaced when told again', async () => {
    const { edge, meeting } = await watching();
    const before = shown(meeting)?.mediaTrack;
    edge.notify('consumer.superseded', superseded);
    await eventually(() => expect(resumed(edge)).toContain('consumer-1'));
    edge.notify('consumer.closed', { ...superseded, consumerId: 'consumer-1' });
    edge.notify('consumer.superseded', superseded);
    await eventually(() => expect(resumed(edge)).toContain('consumer-2'));
    expect(shown(meeting)).toMatchObject({ status: 'live', mediaTrack: before });
    framesDecoded = 1;
    await eventually(() => expect(shown(meeting)?.mediaTrack).not.toBe(before));
    // Nobody need let go of the one that has ended.
    await eventually(() => expect(edge.requests('unsubscribe')).toMatchObject([{ consumerIds: ['old'] }]));
  });

  test('[MB1] is replaced twice, where the track comes yet another way before the new one plays', async () => {
    const { edge, meeting } = await watching();
    edge.notify('consumer.superseded', superseded);
    await eventually(() => expect(resumed(edge)).toContain('consumer-1'));
    edge.notify('consumer.superseded', { ...superseded, consumerId: 'consumer-1' });
    expect(edge.requests('subscribe')).toHaveLength(1);
    framesDecoded = 1;
    await eventually(() =>
      expect(edge.requests('unsubscribe').flatMap(({ consumerIds }) => consumerIds)).toEqual([
        'old',
        'consumer-1',
      ]),
    );
    expect(edge.requests('subscribe')).toHaveLength(2);
    expect(shown(meeting)?.status).toBe('live');
  });

  test('[GW17] goes on when no other way is to be had, and is subscribed to anew when it ends', async () => {
    const { edge, meeting } = await watching();
    let refusals = 0;
    edge.on.subscribe = () => {
      refusals += 1;
      return refuse('media_unavailable');
    };
    edge.notify('consumer.superseded', superseded);
    await eventually(() => expect(refusals).toBe(1));
    expect(shown(meeting)?.status).toBe('live');
    edge.on = {};
    edge.notify('consumer.closed', superseded);
    await eventually(() => expect(edge.requests('subscribe')).toHaveLength(2));
    await eventually(() => expect(shown(meeting)?.status).toBe('live'));
  });

  test.each([
    ['at once, where only the way that it came by is lost', true],
    ['a moment later, where its track may have ended', false],
  ])('[GW11] that is closed is asked for anew %s', async (_, isPathLost) => {
    const { edge } = await watching();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      edge.notify('consumer.closed', { ...superseded, isPathLost });
      await vi.advanceTimersByTimeAsync(74);
      expect(edge.requests('subscribe')).toHaveLength(isPathLost ? 1 : 0);
      await vi.advanceTimersByTimeAsync(77);
      expect(edge.requests('subscribe')).toHaveLength(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test('[GW17] of a track that ended meanwhile is not replaced', async () => {
    const { edge, meeting } = await watching();
    edge.notify('consumer.superseded', superseded);
    await eventually(() => expect(edge.requests('subscribe')).toHaveLength(1));
    edge.notify('event', {
      id: '101-0',
      previousId: '100-0',
      event: { type: 'track.ended', trackId: 't-camera', peerId: 'peer-b', reason: 'unpublished' },
    });
    framesDecoded = 1;
    await eventually(() =>
      expect(edge.requests('unsubscribe')).toMatchObject([{ consumerIds: ['consumer-1'] }]),
    );
    expect(shown(meeting)).toBeUndefined();
  });
});
