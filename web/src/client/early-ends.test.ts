import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Meeting } from './index.ts';
import { eventually } from './testing/eventually.ts';
import { consumerOffer, loggedEvent, snapshotOf, trackOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { ScriptedEdge } from './testing/scripted-edge.ts';

beforeEach(() => {
  // Every receiver plays at once.
  vi.spyOn(FakeHandler.prototype, 'getReceiverStats').mockImplementation(() =>
    Promise.resolve(
      new Map([['in', { type: 'inbound-rtp', packetsReceived: 1, bytesReceived: 1, framesDecoded: 1 }]]),
    ),
  );
});
afterEach(() => {
  vi.restoreAllMocks();
});

const VOICE = trackOf('t-voice', 'peer-b', 'microphone');
const OTHER = trackOf('t-other', 'peer-c', 'microphone');

const offerOf = (consumerId: string, { trackId, peerId, source }: typeof VOICE) =>
  consumerOffer(consumerId, { trackId, peerId, source });

const statusOf = (meeting: Meeting, trackId: string) =>
  [...meeting.getSnapshot().remoteTracks.values()].find((track) => track.trackId === trackId)?.status;

describe('a notice about a consumer whose receiver is not created yet', () => {
  test('[MS35] that it ended: its track is requested again', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    let requestCount = 0;
    edge.on.subscribe = () => {
      requestCount += 1;
      // The first consumer ends before the reply that offers it arrives.
      if (requestCount === 1) edge.notify('consumer.closed', { consumerId: 'c-1', trackId: 't-voice' });
      return { consumers: [offerOf(`c-${requestCount}`, VOICE)], failed: [] };
    };
    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'track.published', track: VOICE }));

    await eventually(() => expect(requestCount).toBe(2));
    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));
  });

  test('[MS35] that it ended, during the join: only its track is requested again', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [VOICE, OTHER] });
    edge.consumers = [offerOf('c-voice', VOICE), offerOf('c-other', OTHER)];
    const meeting = meet(edge);
    const stop = meeting.subscribe(() => {
      if (statusOf(meeting, 't-voice') !== 'waiting') return;
      stop();
      edge.notify('consumer.closed', { consumerId: 'c-voice', trackId: 't-voice' });
    });
    await meeting.join();

    await eventually(() => expect(edge.requests('subscribe')).toMatchObject([{ trackIds: ['t-voice'] }]));
    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));
    expect(statusOf(meeting, 't-other')).toBe('live');
  });

  test('[MS35] that its track takes another path: it is replaced', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();

    let requestCount = 0;
    edge.on.subscribe = () => {
      requestCount += 1;
      if (requestCount === 1) edge.notify('consumer.superseded', { consumerId: 'c-1', trackId: 't-voice' });
      return { consumers: [offerOf(`c-${requestCount}`, VOICE)], failed: [] };
    };
    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'track.published', track: VOICE }));

    await eventually(() => expect(edge.requests('unsubscribe')).toMatchObject([{ consumerIds: ['c-1'] }]));
    expect(requestCount).toBe(2);
    expect(statusOf(meeting, 't-voice')).toBe('live');
  });

  test('[MS35] that a replacement ended: the old consumer goes on until it ends too', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [VOICE] });
    edge.consumers = [offerOf('c-old', VOICE)];
    const meeting = meet(edge);
    await meeting.join();

    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));

    let requestCount = 0;
    edge.on.subscribe = () => {
      requestCount += 1;
      if (requestCount === 1) edge.notify('consumer.closed', { consumerId: 'c-1', trackId: 't-voice' });
      return { consumers: [offerOf(`c-${requestCount}`, VOICE)], failed: [] };
    };
    edge.notify('consumer.superseded', { consumerId: 'c-old', trackId: 't-voice' });

    await eventually(() => expect(requestCount).toBe(1));
    // The old consumer goes on until it ends too.
    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));

    edge.notify('consumer.closed', { consumerId: 'c-old', trackId: 't-voice' });

    await eventually(() => expect(requestCount).toBe(2));
    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));
  });
});
