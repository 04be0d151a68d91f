import { EVENT_ID, HEARD_EVENT } from '@plenary/cluster/protocol';
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Meeting, LocalTrack } from './index.ts';
import { eventually } from './testing/eventually.ts';
import { FIRST_EPOCH, sessionOf, snapshotOf, trackOf } from './testing/fixtures.ts';
import { audioTrack, meet, phase, videoTrack } from './testing/meet.ts';
import { ScriptedEdge, refuse } from './testing/scripted-edge.ts';

afterEach(() => vi.restoreAllMocks());

const local = (meeting: Meeting, source: LocalTrack['source'] = 'microphone'): LocalTrack | undefined =>
  meeting.getSnapshot().localTracks.get(source);

/** A joined meeting with a published microphone, muted or not. */
async function speaking(edge: ScriptedEdge, paused = false): Promise<Meeting> {
  const meeting = meet(edge);
  await meeting.publish('microphone', audioTrack(), { paused });
  await meeting.join();
  await eventually(() => expect(local(meeting)?.status).toBe('live'));
  return meeting;
}

/** Records the reported failures of sources. */
function failures(meeting: Meeting): string[] {
  const reports: string[] = [];
  meeting.events.on('local-track-failed', ({ source, error }) => reports.push(`${source} ${error.code}`));
  return reports;
}

describe('a failed request about an own track', () => {
  test('[WB3] an unmute is resent automatically until the edge accepts it', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.001);
    const edge = new ScriptedEdge();
    let requestCount = 0;
    edge.on['track.pause'] = () => {
      requestCount += 1;
      return requestCount <= 2 ? refuse('media_unavailable') : {};
    };
    const meeting = await speaking(edge, true);
    meeting.setMuted('microphone', false);

    await eventually(() => expect(edge.requests('track.pause')).toHaveLength(3));
    expect(edge.requests('track.pause').map(({ paused }) => paused)).toEqual([false, false, false]);
    expect(local(meeting)).toMatchObject({ paused: false, status: 'live' });
  });

  test('[WB3] after an unanswered mute, the next state is sent even if it equals the state before the mute', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.pause'] = ({ paused }) => (paused ? refuse('timed_out') : {});
    const meeting = await speaking(edge);
    meeting.setMuted('microphone', true);

    await eventually(() => expect(edge.requests('track.pause')).toHaveLength(1));

    meeting.setMuted('microphone', false);

    await eventually(() =>
      expect(edge.requests('track.pause').map(({ paused }) => paused)).toEqual([true, false]),
    );
  });

  test.each([true, false])(
    '[WB24] a state that the edge refuses permanently ends the track, and the user is reports (mute: %s)',
    async (mute) => {
      const edge = new ScriptedEdge();
      edge.on['track.pause'] = () => refuse('forbidden');
      const meeting = await speaking(edge, !mute);
      const reports = failures(meeting);
      meeting.setMuted('microphone', mute);

      await eventually(() => expect(edge.requests('track.end')).toMatchObject([{ trackId: 'own-1' }]));
      expect(local(meeting)).toMatchObject({ paused: true, status: 'failed', trackId: undefined });
      expect(reports).toEqual(['microphone forbidden']);
      expect(phase(meeting)).toBe('joined');
    },
  );

  test('[WB25] a track that the edge does not have is published again in the current state', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.pause'] = () => refuse('track_not_found');
    const meeting = await speaking(edge, true);
    meeting.setMuted('microphone', false);

    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));

    const [first, second] = edge.requests('track.publish');

    // Viewers that have not seen the end yet replace the old track.
    expect(second).toMatchObject({ paused: false, replaces: 'own-1' });
    expect(second?.requestId).not.toBe(first?.requestId);
    await eventually(() => expect(local(meeting)).toMatchObject({ status: 'live', trackId: 'own-2' }));
  });

  test('[WB24] a refused publication is reported', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.publish'] = () => refuse('forbidden');
    const meeting = meet(edge);
    const reports = failures(meeting);
    await meeting.publish('camera', videoTrack());
    await meeting.join();

    await eventually(() => expect(reports).toEqual(['camera forbidden']));
    expect(local(meeting, 'camera')).toMatchObject({ paused: true, status: 'failed' });

    edge.on = {};
    await meeting.publish('camera', videoTrack());

    await eventually(() => expect(local(meeting, 'camera')).toMatchObject({ paused: false, status: 'live' }));
  });

  test('[WB14] a viewer’s publication fails at once and never appears as waiting', async () => {
    const edge = new ScriptedEdge();
    edge.on.join = () => {
      const { sendTransport: none, ...receiving } = edge.media();
      expect(none).toBeDefined();
      return { session: { ...sessionOf(), role: 'viewer' }, room: edge.room, media: receiving };
    };
    const meeting = meet(edge);
    const reports = failures(meeting);
    await meeting.publish('microphone', audioTrack());
    await meeting.join();

    await eventually(() => expect(reports).toEqual(['microphone forbidden']));
    expect(local(meeting)).toMatchObject({ paused: true, status: 'failed' });
  });

  test('[WB25] a media session that the node does not have is reopened, and all sources are published there', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.publish'] = () =>
      edge.requests('media.open').length === 0 ? refuse('transport_not_found') : { trackId: 'own-x' };
    const meeting = meet(edge);
    const reports = failures(meeting);
    await meeting.publish('microphone', audioTrack());
    await meeting.join();

    await eventually(() => expect(local(meeting)).toMatchObject({ status: 'live', trackId: 'own-x' }));
    expect(reports).toEqual([]);
  });

  test('[WB3] a `track.end` that the edge did not answer is repeated', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.001);
    const edge = new ScriptedEdge();
    let requestCount = 0;
    edge.on['track.end'] = () => {
      requestCount += 1;
      return requestCount === 1 ? refuse('timed_out') : {};
    };
    const meeting = await speaking(edge);
    meeting.unpublish('microphone');

    await eventually(() => expect(edge.requests('track.end')).toHaveLength(2));
  });
});

describe('a changed device', () => {
  test('[WB25] that the browser refuses as a replacement is published as a new track', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    vi.spyOn(FakeHandler.prototype, 'replaceTrack').mockRejectedValueOnce(
      new Error('InvalidModificationError'),
    );
    const next = audioTrack();
    await meeting.replaceTrack('microphone', next);

    await eventually(() => expect(local(meeting)).toMatchObject({ status: 'live', trackId: 'own-2' }));
    expect(local(meeting)?.mediaTrack).toBe(next);
    expect(edge.requests('track.end')).toMatchObject([{ trackId: 'own-1' }]);
  });

  test('[WB4] keeps a mute that was set while the browser changed the device', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge, true);
    const { promise, resolve } = Promise.withResolvers<void>();
    vi.spyOn(FakeHandler.prototype, 'replaceTrack').mockImplementationOnce(() => promise);
    const changed = meeting.publish('microphone', audioTrack(), { paused: false });
    meeting.setMuted('microphone', true);
    resolve();
    await changed;

    expect(local(meeting)?.paused).toBe(true);
  });

  test('[WB4] that is switched off during the replacement is released after it', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    await meeting.replaceTrack('microphone', null);
    const { promise, resolve } = Promise.withResolvers<void>();
    const browser = vi.spyOn(FakeHandler.prototype, 'replaceTrack').mockImplementationOnce(() => promise);
    const next = audioTrack();
    const switchedOn = meeting.replaceTrack('microphone', next);

    await eventually(() => expect(browser).toHaveBeenCalledTimes(1));

    const switchedOff = meeting.replaceTrack('microphone', null);
    resolve();
    await Promise.all([switchedOn, switchedOff]);

    expect(browser.mock.calls.map(([, track]) => track)).toEqual([next, null]);
  });
});

describe('an own track that the meeting stops', () => {
  const recordStops = (meeting: Meeting): string[] => {
    const reports: string[] = [];
    meeting.events.on('local-track-stopped', ({ source, reason }) => reports.push(`${source} ${reason}`));
    return reports;
  };
  const ended = (trackId: string, reason: string) =>
    HEARD_EVENT.parse({
      id: '101-0',
      previousId: '100-0',
      event: { type: 'track.ended', trackId, peerId: 'self', reason },
    });

  test.each([
    ['over_limit', 'over_limit'],
    ['moderated', 'unspecified'],
  ])(
    '[WB11] [WB49] by ending it (%s) is off and reported, and is not published again',
    async (reason, why) => {
      const edge = new ScriptedEdge();
      const meeting = await speaking(edge);
      const reports = recordStops(meeting);
      edge.notify('event', ended('own-1', reason));

      await eventually(() => expect(reports).toEqual([`microphone ${why}`]));
      expect(local(meeting)).toMatchObject({ status: 'failed', paused: true, trackId: undefined });

      meeting.setMuted('microphone', false);
      meeting.setMuted('microphone', true);
      await meeting.publish('microphone', audioTrack());

      await eventually(() => expect(local(meeting)?.status).toBe('live'));
      expect(edge.requests('track.publish')).toHaveLength(2);
      expect(edge.requests('track.end')).toEqual([]);
      expect(edge.requests('track.pause')).toEqual([]);
    },
  );

  /** The edge sends a snapshot, with or without the own track, after missed events. */
  function missNews(edge: ScriptedEdge, tracks = snapshotOf().tracks): void {
    edge.room = snapshotOf({ lastEventId: '200-0', tracks });
    edge.notify('head', { lastEventId: '200-0' });
  }

  test('[WB50] is off and reported as soon as a snapshot lacks it, if its end was missed', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.pause'] = () => refuse('track_not_found');
    const meeting = await speaking(edge);
    const reports = recordStops(meeting);
    missNews(edge);

    await eventually(() => expect(reports).toEqual(['microphone unspecified']));
    expect(local(meeting)).toMatchObject({ status: 'failed', paused: true, trackId: undefined });
    expect(edge.requests('track.publish')).toHaveLength(1);
    expect(edge.requests('track.end')).toEqual([]);
  });

  test('[WB50] is left alone if it goes on although a snapshot lacks it, or if the snapshot has it', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    const reports = recordStops(meeting);
    missNews(edge);

    await eventually(() => expect(edge.requests('track.pause')).toMatchObject([{ paused: false }]));

    missNews(edge, [trackOf('own-1', 'self', 'microphone')]);

    await eventually(() => expect(edge.requests('sync').length).toBeGreaterThan(0));
    expect(reports).toEqual([]);
    expect(local(meeting)).toMatchObject({ status: 'live', paused: false, trackId: 'own-1' });
    expect(edge.requests('track.pause')).toHaveLength(1);
  });

  test('[WB49] is not published again if it was muted before its end was known', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.pause'] = () => refuse('track_not_found');
    const meeting = await speaking(edge);
    const reports = recordStops(meeting);
    meeting.setMuted('microphone', true);

    await eventually(() => expect(reports).toEqual(['microphone unspecified']));
    expect(edge.requests('track.publish')).toHaveLength(1);
  });

  test('[WB51] is published again without a message if its media session ended with it', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    const reports = recordStops(meeting);
    edge.notify('event', ended('own-1', 'node_lost'));
    edge.notify('media.lost', { epoch: FIRST_EPOCH, reason: 'node_lost' });

    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));
    expect(reports).toEqual([]);
    expect(local(meeting)?.paused).toBe(false);
  });

  test('[WB11] is not affected by the end of another peer’s track, or of one that the client ended itself', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    const reports = recordStops(meeting);
    meeting.unpublish('microphone');
    edge.notify('event', ended('own-1', 'unpublished'));
    await meeting.publish('microphone', audioTrack());

    await eventually(() => expect(local(meeting)).toMatchObject({ status: 'live', trackId: 'own-2' }));

    edge.notify('event', { ...ended('t-other', 'over_limit'), id: EVENT_ID.parse('102-0') });
    edge.notify('publishing.limited', { step: 'warned', bitrate: 2, limit: 1 });

    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));
    expect(reports).toEqual([]);
    expect(local(meeting)?.paused).toBe(false);
  });

  test('[WB11] [WB49] by pausing it is muted here and reported, and goes on when it is unmuted', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    await meeting.publish('camera', videoTrack(), { paused: true });
    const reports = recordStops(meeting);
    edge.notify('publishing.limited', { step: 'paused', bitrate: 2, limit: 1 });

    await eventually(() => expect(reports).toEqual(['microphone over_limit']));
    expect(local(meeting)).toMatchObject({ status: 'live', paused: true });
    // The state is sent again, because an unmute may have been pending.
    await eventually(() =>
      expect(edge.requests('track.pause')).toMatchObject([{ trackId: 'own-1', paused: true }]),
    );

    meeting.setMuted('microphone', false);

    await eventually(() => expect(edge.requests('track.pause').at(-1)).toMatchObject({ paused: false }));
  });
});
