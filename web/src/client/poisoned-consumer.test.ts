import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Meeting } from './index.ts';
import { eventually } from './testing/eventually.ts';
import { consumerOffer, loggedEvent, sessionOf, snapshotOf, trackOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { NO_ANSWER, ScriptedEdge } from './testing/scripted-edge.ts';

const POISON = '@poison@';
const VOICE = trackOf('t-voice', 'peer-b', 'microphone');
const BAD = trackOf('t-bad', 'peer-c', 'microphone');
const LATER = trackOf('t-later', 'peer-d', 'microphone');

afterEach(() => {
  vi.restoreAllMocks();
});

const offerOf = ({ trackId, peerId, source }: typeof VOICE, consumerId = `c-${trackId}`) =>
  consumerOffer(consumerId, { trackId, peerId, source });

function poisoned(track: typeof VOICE): ReturnType<typeof offerOf> {
  const offer = offerOf(track);
  return {
    ...offer,
    rtpParameters: offer.rtpParameters && { ...offer.rtpParameters, rtcp: { cname: POISON } },
  };
}

/** A browser whose session a poisoned section breaks: it rejects that description and all later ones of the session. */
function pickyBrowser(): void {
  const broken = new WeakSet<FakeHandler>();
  const original = FakeHandler.prototype.receive;
  vi.spyOn(FakeHandler.prototype, 'receive').mockImplementation(async function (this: FakeHandler, options) {
    if (options.some(({ rtpParameters }) => rtpParameters.rtcp?.cname === POISON)) broken.add(this);
    if (broken.has(this)) throw new Error('Failed to parse SessionDescription.');
    return original.call(this, options);
  });
}

const statusOf = (meeting: Meeting, trackId: string) =>
  [...meeting.getSnapshot().remoteTracks.values()].find((track) => track.trackId === trackId)?.status;

describe('a consumer that the browser rejects', () => {
  test('[MS4] [MS48] [MS49] fails alone if others play already, and the edge gets a report', async () => {
    pickyBrowser();
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [VOICE] });
    edge.consumers = [offerOf(VOICE)];
    const meeting = meet(edge);
    await meeting.join();

    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));

    const playing = [...meeting.getSnapshot().remoteTracks.values()][0]?.mediaTrack;

    edge.on.subscribe = ({ trackIds }) => ({
      consumers: [BAD, LATER]
        .filter(({ trackId }) => trackIds.includes(trackId))
        .map((track) => (track === BAD ? poisoned(BAD) : offerOf(track))),
      failed: [],
    });
    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'track.published', track: BAD }));
    edge.notify('event', loggedEvent('102-0', '101-0', { type: 'track.published', track: LATER }));

    await eventually(() => expect(statusOf(meeting, 't-later')).toBe('live'));
    await eventually(() => expect(statusOf(meeting, 't-bad')).toBe('failed'));
    expect(edge.requests('consumer.failed')).toMatchObject([{ consumerId: 'c-t-bad', trackId: 't-bad' }]);
    expect(edge.requests('media.open')).toEqual([]);
    expect(
      edge
        .requests('subscribe')
        .flatMap(({ trackIds }) => trackIds)
        .filter((id) => id === 't-bad'),
    ).toHaveLength(1);
    expect(playing?.readyState).toBe('live');
  });

  test('[MS24] among the first ones costs one media session, and is then identified', async () => {
    pickyBrowser();
    const edge = new ScriptedEdge();
    edge.room = snapshotOf({ tracks: [VOICE, BAD] });
    edge.consumers = [offerOf(VOICE), poisoned(BAD)];
    const meeting = meet(edge);
    await meeting.join();

    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));
    await eventually(() => expect(statusOf(meeting, 't-bad')).toBe('failed'));
    expect(edge.requests('media.open')).toHaveLength(1);
    await eventually(() => expect(edge.requests('consumer.failed')).toMatchObject([{ trackId: 't-bad' }]));
  });

  test('[MS27] with unreadable parameters, another kind or another consumer’s identifiers never reaches the browser', async () => {
    const receive = vi.spyOn(FakeHandler.prototype, 'receive');
    const edge = new ScriptedEdge();
    const [second, third] = [trackOf('t-2', 'peer-e', 'camera'), trackOf('t-3', 'peer-f', 'microphone')];
    edge.room = snapshotOf({ tracks: [VOICE, BAD, second, third] });
    const good = offerOf(VOICE);
    const injected = { ...good.rtpParameters, rtcp: { cname: 'a\r\na=evil' } };
    const offers = [
      good,
      { ...offerOf(BAD), rtpParameters: injected },
      { ...offerOf(second), rtpParameters: good.rtpParameters },
      { ...offerOf(third), rtpParameters: good.rtpParameters },
    ];
    edge.on.subscribe = () => NO_ANSWER;
    edge.on.join = () => ({
      session: sessionOf(),
      room: edge.room,
      media: { ...edge.media(), consumers: offers },
    });
    const meeting = meet(edge);
    await meeting.join();

    await eventually(() => expect(statusOf(meeting, 't-voice')).toBe('live'));
    await eventually(() =>
      expect(
        edge
          .requests('consumer.failed')
          .map(({ trackId }) => trackId)
          .sort(),
      ).toEqual(['t-2', 't-3', 't-bad']),
    );
    expect(receive.mock.calls.flat(2).map(({ trackId }) => trackId)).toEqual(['c-t-voice']);
    expect(edge.requests('media.open')).toEqual([]);
  });
});
