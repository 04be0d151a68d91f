import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Meeting } from './index.ts';
import { eventually } from './testing/eventually.ts';
import { consumerOffer, snapshotOf, trackOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { ScriptedEdge, refuse } from './testing/scripted-edge.ts';

/** The fake browser numbers its receivers in order. Number 2 is the probator, which mediasoup-client adds to the first video. */
const OLD = '1';
const FIRST_REPLACEMENT = '3';
const SECOND_REPLACEMENT = '4';
/** One second, twice the time over which the client compares two receivers: it reads their statistics every 50 ms. */
const READS_OF_A_COMPARISON = 20;

/** Receivers that decode one frame between two reads of their statistics. */
const playing = new Set<string>();
const framesDecoded = new Map<string, number>();
const reads = new Map<string, number>();

function readStats(receiver: string): Promise<RTCStatsReport> {
  const frames = (framesDecoded.get(receiver) ?? 0) + (playing.has(receiver) ? 1 : 0);
  framesDecoded.set(receiver, frames);
  reads.set(receiver, (reads.get(receiver) ?? 0) + 1);
  return Promise.resolve(new Map([['in', { type: 'inbound-rtp', framesDecoded: frames }]]));
}

beforeEach(() => {
  for (const counters of [framesDecoded, reads]) counters.clear();
  playing.clear();
  playing.add(OLD);
  vi.spyOn(FakeHandler.prototype, 'getReceiverStats').mockImplementation(readStats);
});
afterEach(() => {
  vi.restoreAllMocks();
});

const CAMERA = trackOf('t-camera', 'peer-b', 'camera');

async function watchCamera(): Promise<{ edge: ScriptedEdge; meeting: Meeting }> {
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

/** Waits until the client has compared a silent replacement for long enough, or has wrongly shown it. */
async function comparedOrReplaced(meeting: Meeting, receiver: string, before: unknown): Promise<void> {
  await eventually(() => {
    const isReplaced = shown(meeting)?.mediaTrack !== before;
    expect(isReplaced || (reads.get(receiver) ?? 0) >= READS_OF_A_COMPARISON).toBe(true);
  });
}

describe('a consumer whose track takes another path', () => {
  test('[GW17] plays on until its replacement plays, and is unsubscribed then', async () => {
    const { edge, meeting } = await watchCamera();
    const before = shown(meeting)?.mediaTrack;

    edge.notify('consumer.superseded', superseded);
    edge.notify('consumer.superseded', superseded);
    await eventually(() =>
      expect(edge.requests('consumers.update').flatMap(({ consumers }) => consumers)).toContainEqual(
        expect.objectContaining({ consumerId: 'consumer-1', paused: false }),
      ),
    );
    expect(edge.requests('subscribe')).toMatchObject([{ trackIds: ['t-camera'] }]);
    await comparedOrReplaced(meeting, FIRST_REPLACEMENT, before);
    expect(shown(meeting)?.mediaTrack).toBe(before);
    expect(before?.readyState).toBe('live');
    expect(edge.requests('unsubscribe')).toEqual([]);

    playing.add(FIRST_REPLACEMENT);
    await eventually(() => expect(edge.requests('unsubscribe')).toMatchObject([{ consumerIds: ['old'] }]));
    expect(shown(meeting)).toMatchObject({ status: 'live' });
    expect(shown(meeting)?.mediaTrack).not.toBe(before);
    expect(before?.readyState).toBe('ended');
  });

  test('[GW17] that ends before its replacement plays is replaced at once, by one subscription', async () => {
    const { edge, meeting } = await watchCamera();
    const before = shown(meeting)?.mediaTrack;
    edge.notify('consumer.superseded', superseded);
    edge.notify('consumer.closed', superseded);
    await eventually(() => expect(shown(meeting)?.mediaTrack).not.toBe(before));
    expect(shown(meeting)?.status).toBe('live');
    expect(edge.requests('subscribe')).toHaveLength(1);
  });

  test('[MB2] plays on when its replacement ends before it plays, and is replaced after the next notice', async () => {
    const { edge, meeting } = await watchCamera();
    const before = shown(meeting)?.mediaTrack;
    edge.notify('consumer.superseded', superseded);
    await eventually(() => expect(resumed(edge)).toContain('consumer-1'));
    edge.notify('consumer.closed', { ...superseded, consumerId: 'consumer-1' });
    edge.notify('consumer.superseded', superseded);
    await eventually(() => expect(resumed(edge)).toContain('consumer-2'));
    await comparedOrReplaced(meeting, SECOND_REPLACEMENT, before);
    expect(shown(meeting)).toMatchObject({ status: 'live', mediaTrack: before });

    playing.add(SECOND_REPLACEMENT);
    await eventually(() => expect(shown(meeting)?.mediaTrack).not.toBe(before));
    // The replacement that ended needs no unsubscribe.
    await eventually(() => expect(edge.requests('unsubscribe')).toMatchObject([{ consumerIds: ['old'] }]));
  });

  test('[MB2] is replaced after a notice that arrives while the request for a replacement, which ends, is pending', async () => {
    const { edge, meeting } = await watchCamera();
    const before = shown(meeting)?.mediaTrack;
    edge.on.subscribe = () => {
      edge.on = {};
      edge.notify('consumer.closed', { ...superseded, consumerId: 'ending' });
      edge.notify('consumer.superseded', superseded);
      const offer = { trackId: 't-camera', peerId: 'peer-b', source: 'camera', paused: true } as const;
      return { consumers: [consumerOffer('ending', offer)], failed: [] };
    };
    playing.add(SECOND_REPLACEMENT);

    edge.notify('consumer.superseded', superseded);

    await eventually(() => expect(shown(meeting)?.mediaTrack).not.toBe(before));
    expect(shown(meeting)?.status).toBe('live');
    expect(edge.requests('subscribe')).toHaveLength(2);
  });

  test('[MB1] is replaced twice when the track changes its path again before the first replacement plays', async () => {
    const { edge, meeting } = await watchCamera();
    edge.notify('consumer.superseded', superseded);
    await eventually(() => expect(resumed(edge)).toContain('consumer-1'));
    edge.notify('consumer.superseded', { ...superseded, consumerId: 'consumer-1' });
    expect(edge.requests('subscribe')).toHaveLength(1);

    playing.add(FIRST_REPLACEMENT).add(SECOND_REPLACEMENT);
    await eventually(() =>
      expect(edge.requests('unsubscribe').flatMap(({ consumerIds }) => consumerIds)).toEqual([
        'old',
        'consumer-1',
      ]),
    );
    expect(edge.requests('subscribe')).toHaveLength(2);
    expect(shown(meeting)?.status).toBe('live');
  });

  test('[GW17] plays on when no replacement can be opened, and its track is subscribed to again when it ends', async () => {
    const { edge, meeting } = await watchCamera();
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
    ['at once when only its path is lost', true],
    ['a moment later when its track may have ended', false],
  ])('[GW11] that is closed is subscribed to again %s', async (_, isPathLost) => {
    const { edge } = await watchCamera();
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

  test('[GW17] of a track that ends during the replacement is not replaced', async () => {
    const { edge, meeting } = await watchCamera();
    edge.notify('consumer.superseded', superseded);
    await eventually(() => expect(edge.requests('subscribe')).toHaveLength(1));
    edge.notify('event', {
      id: '101-0',
      previousId: '100-0',
      event: { type: 'track.ended', trackId: 't-camera', peerId: 'peer-b', reason: 'unpublished' },
    });
    playing.add(FIRST_REPLACEMENT);
    await eventually(() =>
      expect(edge.requests('unsubscribe')).toMatchObject([{ consumerIds: ['consumer-1'] }]),
    );
    expect(shown(meeting)).toBeUndefined();
  });
});
