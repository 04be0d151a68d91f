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

/** Somebody whose microphone is published, muted or not. */
async function speaking(edge: ScriptedEdge, paused = false): Promise<Meeting> {
  const meeting = meet(edge);
  await meeting.publish('microphone', audioTrack(), { paused });
  await meeting.join();
  await eventually(() => expect(local(meeting)?.status).toBe('live'));
  return meeting;
}

/** What was told of failed sources. */
function failures(meeting: Meeting): string[] {
  const told: string[] = [];
  meeting.events.on('local-track-failed', ({ source, error }) => told.push(`${source} ${error.code}`));
  return told;
}

describe('a request about one’s own track that fails', () => {
  test('[WB3] an unmute is told again by itself, until the edge has it', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.001);
    const edge = new ScriptedEdge();
    let asked = 0;
    edge.on['track.pause'] = () => {
      asked += 1;
      return asked <= 2 ? refuse('media_unavailable') : {};
    };
    const meeting = await speaking(edge, true);
    meeting.setMuted('microphone', false);
    await eventually(() => expect(edge.requests('track.pause')).toHaveLength(3));
    expect(edge.requests('track.pause').map(({ paused }) => paused)).toEqual([false, false, false]);
    expect(local(meeting)).toMatchObject({ paused: false, status: 'live' });
  });

  test('[WB3] what became of a mute without an answer is not known: the next wish is told, also the old one', async () => {
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
    '[WB24] a wish that is refused for good ends the track, and is told (mute: %s)',
    async (mute) => {
      const edge = new ScriptedEdge();
      edge.on['track.pause'] = () => refuse('forbidden');
      const meeting = await speaking(edge, !mute);
      const told = failures(meeting);
      meeting.setMuted('microphone', mute);
      await eventually(() => expect(edge.requests('track.end')).toMatchObject([{ trackId: 'own-1' }]));
      expect(local(meeting)).toMatchObject({ paused: true, status: 'failed', trackId: undefined });
      expect(told).toEqual(['microphone forbidden']);
      expect(phase(meeting)).toBe('joined');
    },
  );

  test('[WB25] a track that the edge does not have is published anew, as it is wished now', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.pause'] = () => refuse('track_not_found');
    const meeting = await speaking(edge, true);
    meeting.setMuted('microphone', false);
    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));
    const [first, second] = edge.requests('track.publish');
    // Others who have not heard of the end see one of the two.
    expect(second).toMatchObject({ paused: false, replaces: 'own-1' });
    expect(second?.requestId).not.toBe(first?.requestId);
    await eventually(() => expect(local(meeting)).toMatchObject({ status: 'live', trackId: 'own-2' }));
  });

  test('[WB24] a publication that is refused is told', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.publish'] = () => refuse('forbidden');
    const meeting = meet(edge);
    const told = failures(meeting);
    await meeting.publish('camera', videoTrack());
    await meeting.join();
    await eventually(() => expect(told).toEqual(['camera forbidden']));
    expect(local(meeting, 'camera')).toMatchObject({ paused: true, status: 'failed' });
    edge.on = {};
    await meeting.publish('camera', videoTrack());
    await eventually(() => expect(local(meeting, 'camera')).toMatchObject({ paused: false, status: 'live' }));
  });

  test('[WB14] what a viewer publishes is refused at once, and does not look as if it were about to be sent', async () => {
    const edge = new ScriptedEdge();
    edge.on.join = () => {
      const { sendTransport: none, ...receiving } = edge.media();
      expect(none).toBeDefined();
      return { session: { ...sessionOf(), role: 'viewer' }, room: edge.room, media: receiving };
    };
    const meeting = meet(edge);
    const told = failures(meeting);
    await meeting.publish('microphone', audioTrack());
    await meeting.join();
    await eventually(() => expect(told).toEqual(['microphone forbidden']));
    expect(local(meeting)).toMatchObject({ paused: true, status: 'failed' });
  });

  test('[WB25] media that the node does not have is opened anew, and everything is published there', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.publish'] = () =>
      edge.requests('media.open').length === 0 ? refuse('transport_not_found') : { trackId: 'own-x' };
    const meeting = meet(edge);
    const told = failures(meeting);
    await meeting.publish('microphone', audioTrack());
    await meeting.join();
    await eventually(() => expect(local(meeting)).toMatchObject({ status: 'live', trackId: 'own-x' }));
    expect(told).toEqual([]);
  });

  test('[WB3] an end that the edge did not hear is asked for again', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.001);
    const edge = new ScriptedEdge();
    let asked = 0;
    edge.on['track.end'] = () => {
      asked += 1;
      return asked === 1 ? refuse('timed_out') : {};
    };
    const meeting = await speaking(edge);
    meeting.unpublish('microphone');
    await eventually(() => expect(edge.requests('track.end')).toHaveLength(2));
  });
});

describe('a device that is changed', () => {
  test('[WB25] and that the browser does not put in the place of the other is published anew', async () => {
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

  test('[WB4] a mute that comes while the browser changes the device is the last word', async () => {
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

  test('[WB4] and switched off while the browser still puts it in place is let go of after that', async () => {
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

describe('a track of one’s own that the meeting takes away', () => {
  const taken = (meeting: Meeting): string[] => {
    const told: string[] = [];
    meeting.events.on('local-track-stopped', ({ source, reason }) => told.push(`${source} ${reason}`));
    return told;
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
  ])('[WB11] [WB49] by ending it (%s) is off and told, and not published again', async (reason, why) => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    const told = taken(meeting);
    edge.notify('event', ended('own-1', reason));
    await eventually(() => expect(told).toEqual([`microphone ${why}`]));
    expect(local(meeting)).toMatchObject({ status: 'failed', paused: true, trackId: undefined });
    meeting.setMuted('microphone', false);
    meeting.setMuted('microphone', true);
    await meeting.publish('microphone', audioTrack());
    await eventually(() => expect(local(meeting)?.status).toBe('live'));
    expect(edge.requests('track.publish')).toHaveLength(2);
    expect(edge.requests('track.end')).toEqual([]);
    expect(edge.requests('track.pause')).toEqual([]);
  });

  /** The room as a whole, with or without a track of one's own, comes after news of it were missed. */
  function missNews(edge: ScriptedEdge, tracks = snapshotOf().tracks): void {
    edge.room = snapshotOf({ lastEventId: '200-0', tracks });
    edge.notify('head', { lastEventId: '200-0' });
  }

  test('[WB50] and whose end was missed is off and told as soon as the room is seen without it', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.pause'] = () => refuse('track_not_found');
    const meeting = await speaking(edge);
    const told = taken(meeting);
    missNews(edge);
    await eventually(() => expect(told).toEqual(['microphone unspecified']));
    expect(local(meeting)).toMatchObject({ status: 'failed', paused: true, trackId: undefined });
    expect(edge.requests('track.publish')).toHaveLength(1);
    expect(edge.requests('track.end')).toEqual([]);
  });

  test('[WB50] and that goes on although the room was seen without it, or is seen with it, is left as it is', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    const told = taken(meeting);
    missNews(edge);
    await eventually(() => expect(edge.requests('track.pause')).toMatchObject([{ paused: false }]));
    missNews(edge, [trackOf('own-1', 'self', 'microphone')]);
    await eventually(() => expect(edge.requests('sync').length).toBeGreaterThan(0));
    expect(told).toEqual([]);
    expect(local(meeting)).toMatchObject({ status: 'live', paused: false, trackId: 'own-1' });
    expect(edge.requests('track.pause')).toHaveLength(1);
  });

  test('[WB49] and that is muted before its end is known is not published anew', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.pause'] = () => refuse('track_not_found');
    const meeting = await speaking(edge);
    const told = taken(meeting);
    meeting.setMuted('microphone', true);
    await eventually(() => expect(told).toEqual(['microphone unspecified']));
    expect(edge.requests('track.publish')).toHaveLength(1);
  });

  test('[WB51] together with its media is published anew, without a word', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    const told = taken(meeting);
    edge.notify('event', ended('own-1', 'node_lost'));
    edge.notify('media.lost', { epoch: FIRST_EPOCH, reason: 'node_lost' });
    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));
    expect(told).toEqual([]);
    expect(local(meeting)?.paused).toBe(false);
  });

  test('[WB11] a track of somebody else, or one that was to end, changes nothing', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    const told = taken(meeting);
    meeting.unpublish('microphone');
    edge.notify('event', ended('own-1', 'unpublished'));
    await meeting.publish('microphone', audioTrack());
    await eventually(() => expect(local(meeting)).toMatchObject({ status: 'live', trackId: 'own-2' }));
    edge.notify('event', { ...ended('t-other', 'over_limit'), id: EVENT_ID.parse('102-0') });
    edge.notify('publishing.limited', { step: 'warned', bitrate: 2, limit: 1 });
    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));
    expect(told).toEqual([]);
    expect(local(meeting)?.paused).toBe(false);
  });

  test('[WB11] [WB49] by pausing it is muted here, is told, and goes on when it is unmuted', async () => {
    const edge = new ScriptedEdge();
    const meeting = await speaking(edge);
    await meeting.publish('camera', videoTrack(), { paused: true });
    const told = taken(meeting);
    edge.notify('publishing.limited', { step: 'paused', bitrate: 2, limit: 1 });
    await eventually(() => expect(told).toEqual(['microphone over_limit']));
    expect(local(meeting)).toMatchObject({ status: 'live', paused: true });
    // The edge is told again: an unmute may have been under way.
    await eventually(() =>
      expect(edge.requests('track.pause')).toMatchObject([{ trackId: 'own-1', paused: true }]),
    );
    meeting.setMuted('microphone', false);
    await eventually(() => expect(edge.requests('track.pause').at(-1)).toMatchObject({ paused: false }));
  });
});
