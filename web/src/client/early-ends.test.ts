import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Meeting } from './index.ts';
import { eventually } from './testing/eventually.ts';
import { consumerOffer, loggedEvent, snapshotOf, trackOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { ScriptedEdge } from './testing/scripted-edge.ts';

beforeEach(() => {
  // Everything plays at once.
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

describe('a consumer of which the edge tells before its receiver stands', () => {
  test('[MS35] that it has ended: its track is asked for again', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();
    let asked = 0;
    edge.on.subscribe = () => {
      asked += 1;
      // The first one has ended by the time that its answer is on the way.
      if (asked === 1) edge.notify('consumer.closed', { consumerId: 'c-1', trackId: 't-voice' });
      return { consumers: [offerOf(`c-${asked}`, VOICE)], failed: [] };
    };
    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'track.published', track: VOICE }));
    await eventually(() => expect(asked).toBe(2));
    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));
  });

  test('[MS35] that it has ended, among those of the join', async () => {
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

  test('[MS35] that it comes another way: it is replaced', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();
    let asked = 0;
    edge.on.subscribe = () => {
      asked += 1;
      if (asked === 1) edge.notify('consumer.superseded', { consumerId: 'c-1', trackId: 't-voice' });
      return { consumers: [offerOf(`c-${asked}`, VOICE)], failed: [] };
    };
    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'track.published', track: VOICE }));
    await eventually(() => expect(edge.requests('unsubscribe')).toMatchObject([{ consumerIds: ['c-1'] }]));
    expect(asked).toBe(2);
    expect(statusOf(meeting, 't-voice')).toBe('live');
  });

  test('[MS35] that the one has ended which is to take the place of another', async () => {
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [VOICE] });
    edge.consumers = [offerOf('c-old', VOICE)];
    const meeting = meet(edge);
    await meeting.join();
    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));
    let asked = 0;
    edge.on.subscribe = () => {
      asked += 1;
      if (asked === 1) edge.notify('consumer.closed', { consumerId: 'c-1', trackId: 't-voice' });
      return { consumers: [offerOf(`c-${asked}`, VOICE)], failed: [] };
    };
    edge.notify('consumer.superseded', { consumerId: 'c-old', trackId: 't-voice' });
    await eventually(() => expect(asked).toBe(1));
    // The one of before goes on, until that ends too.
    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));
    edge.notify('consumer.closed', { consumerId: 'c-old', trackId: 't-voice' });
    await eventually(() => expect(asked).toBe(2));
    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));
  });
});
