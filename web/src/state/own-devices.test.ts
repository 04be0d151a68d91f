import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LocalTrack, Meeting } from '../client/index.ts';
import { eventually } from '../client/testing/eventually.ts';
import { meet } from '../client/testing/meet.ts';
import { ScriptedEdge, refuse } from '../client/testing/scripted-edge.ts';
import { LocalMedia, isSending, appearsOn } from './local-media.ts';
import { OwnTracks } from './own-tracks.ts';
import { recall, recallPeers, rememberPeer } from './preferences.ts';
import { ScreenShare } from './screen-share.ts';
import { FakeBrowser } from './testing/fake-browser.ts';

let browser: FakeBrowser;
beforeEach(() => {
  browser = new FakeBrowser();
  browser.install();
});
afterEach(() => {
  vi.unstubAllGlobals();
});

const asked = (): string[] => browser.questions.map(({ kinds }) => kinds.join('+'));

/** Both devices, opened. */
async function opened(): Promise<LocalMedia> {
  const media = new LocalMedia();
  const started = media.start();
  browser.question.allow();
  await started;
  return media;
}

describe('a device that was switched off', () => {
  test('[WB5] is off and not asked for after a reload, in another tab, and after the meeting was left', async () => {
    const media = await opened();
    await media.setEnabled('microphone', false);
    await media.setEnabled('camera', false);
    const reloaded = new LocalMedia();
    await reloaded.start();
    expect(asked()).toEqual(['audio+video']);
    expect(reloaded.getSnapshot()).toMatchObject({
      microphone: { enabled: false, track: undefined },
      camera: { enabled: false, track: undefined },
    });
    media.close('microphone');
    await media.start();
    expect(asked()).toEqual(['audio+video']);
  });

  test('[WB5] is on again after it was switched on, and nothing else is', async () => {
    const media = await opened();
    await media.setEnabled('microphone', false);
    await media.setEnabled('camera', false);
    const switchedOn = media.setEnabled('camera', true);
    browser.question.allow();
    await switchedOn;
    const reloaded = new LocalMedia();
    const started = reloaded.start();
    await eventually(() => expect(asked()).toEqual(['audio+video', 'video', 'video']));
    browser.question.allow();
    await started;
    expect(isSending(reloaded.getSnapshot().camera)).toBe(true);
  });

  test.each(['microphone', 'camera'] as const)(
    '[WB5] stays off when the person answers the browser’s question afterwards (%s)',
    async (kind) => {
      const media = new LocalMedia();
      const started = media.start();
      await media.setEnabled(kind, false);
      browser.question.allow();
      await started;
      expect(media.getSnapshot()[kind]).toMatchObject({ enabled: false, track: undefined, status: 'off' });
      expect(browser.live.map((track) => track.kind)).toEqual([kind === 'camera' ? 'audio' : 'video']);
    },
  );

  test('[WB5] is not asked for when the question about both was refused meanwhile', async () => {
    const media = new LocalMedia();
    const started = media.start();
    await media.setEnabled('camera', false);
    browser.question.refuse('NotAllowedError');
    await eventually(() => expect(asked()).toEqual(['audio+video', 'audio']));
    browser.question.refuse('NotAllowedError');
    await started;
    expect(asked()).toEqual(['audio+video', 'audio']);
  });

  test('[WB5] stays off when another one is chosen', async () => {
    const media = await opened();
    await media.setEnabled('microphone', false);
    await media.choose('microphone', 'headset');
    expect(asked()).toEqual(['audio+video']);
    expect(browser.live.map((track) => track.kind)).toEqual(['video']);
    expect(media.getSnapshot().microphone).toMatchObject({ enabled: false, deviceId: 'headset' });
  });

  test('[WB27] stays off after a reload of its tab when another tab switched its own on', async () => {
    const media = await opened();
    await media.setEnabled('microphone', false);
    browser.inAnotherTab(() => {
      void new LocalMedia().setEnabled('microphone', true);
    });
    expect(new LocalMedia().getSnapshot().microphone.enabled).toBe(false);
  });

  test.each(['closed', 'full'] as const)(
    '[WB28] is off after a reload where nothing can be remembered: the storage is %s',
    async (state) => {
      browser.spoilStorage(state);
      const media = await opened();
      await media.setEnabled('camera', false);
      browser.reload();
      const reloaded = new LocalMedia();
      await reloaded.start();
      expect(asked()).toEqual(['audio+video']);
      expect(reloaded.getSnapshot()).toMatchObject({
        microphone: { enabled: false },
        camera: { enabled: false },
      });
    },
  );

  test('[WB26] an unplugged one is off, says so, and does not come back by itself', async () => {
    const media = await opened();
    const [microphone] = browser.tracks;
    microphone?.remoteStop();
    expect(media.getSnapshot().microphone).toMatchObject({
      enabled: false,
      track: undefined,
      status: 'failed',
      problem: 'gone',
    });
    expect(new LocalMedia().getSnapshot().microphone.enabled).toBe(false);
  });
});

describe('a device that is changed', () => {
  test('[WB32] goes on where the other one cannot be had', async () => {
    const media = await opened();
    const before = media.getSnapshot().camera;
    const chosen = media.choose('camera', 'other');
    expect(browser.question.constraints.video).toMatchObject({ deviceId: { exact: 'other' } });
    browser.question.refuse('OverconstrainedError');
    expect(await chosen).toBe('none');
    expect(media.getSnapshot().camera).toMatchObject({
      track: before.track,
      status: 'on',
      deviceId: before.deviceId,
    });
    expect(before.track?.readyState).toBe('live');
  });

  test('[WB32] goes first where the system opens one at a time', async () => {
    const media = await opened();
    const chosen = media.choose('camera', 'other');
    browser.question.refuse('NotReadableError');
    await eventually(() => expect(browser.questions).toHaveLength(3));
    browser.question.allow();
    expect(await chosen).toBeUndefined();
    expect(browser.live.map((track) => track.kind)).toEqual(['audio', 'video']);
  });
});

describe('a device that is changed while something else happens to it', () => {
  test('[WB32] is the one that is shown, where neither of two that were chosen can be had', async () => {
    const media = await opened();
    const first = media.choose('microphone', 'slow');
    const asking = browser.question;
    const second = media.choose('microphone', 'other');
    browser.question.refuse('OverconstrainedError');
    expect(await second).toBe('none');
    asking.allow();
    await first;
    expect(media.getSnapshot().microphone).toMatchObject({ deviceId: 'usual', status: 'on' });
    expect(recall('microphone')).toBe('usual');
    expect(browser.live.map((track) => track.getSettings().deviceId)).toEqual(['usual', 'usual']);
  });

  test('[WB34] and is unplugged meanwhile gives way to the one that was chosen', async () => {
    const media = await opened();
    const chosen = media.choose('microphone', 'other');
    browser.tracks[0]?.remoteStop();
    expect(isSending(media.getSnapshot().microphone)).toBe(false);
    expect(appearsOn(media.getSnapshot().microphone)).toBe(true);
    browser.question.allow();
    expect(await chosen).toBeUndefined();
    expect(media.getSnapshot().microphone).toMatchObject({
      deviceId: 'other',
      status: 'on',
      problem: undefined,
    });
  });

  test('[WB33] and is unplugged meanwhile is not replaced by a third one', async () => {
    const media = await opened();
    const chosen = media.choose('microphone', 'other');
    browser.tracks[0]?.remoteStop();
    browser.question.refuse('NotReadableError');
    await eventually(() => expect(browser.questions).toHaveLength(3));
    browser.question.allow('third');
    expect(await chosen).toBe('in-use');
    expect(appearsOn(media.getSnapshot().microphone)).toBe(false);
    expect(browser.live.map((track) => track.kind)).toEqual(['video']);
  });
});

test('[WB30] a device that the system silences does not show as off, since it comes on with it, and may be left off', async () => {
  const media = await opened();
  const [microphone] = browser.tracks;
  microphone?.remoteMute();
  expect(appearsOn(media.getSnapshot().microphone)).toBe(true);
  expect(isSending(media.getSnapshot().microphone)).toBe(false);
  await media.setEnabled('microphone', false);
  microphone?.remoteUnmute();
  expect(isSending(media.getSnapshot().microphone)).toBe(false);
  expect(await media.setEnabled('microphone', true)).toBeUndefined();
  expect(isSending(media.getSnapshot().microphone)).toBe(true);
});

describe('a device that made way', () => {
  test('[WB32] comes back where the other one is used by another program all the same', async () => {
    const media = await opened();
    const { deviceId } = media.getSnapshot().camera;
    const chosen = media.choose('camera', 'other');
    browser.question.refuse('NotReadableError');
    await eventually(() => expect(browser.questions).toHaveLength(3));
    browser.question.refuse('NotReadableError');
    await eventually(() => expect(browser.questions).toHaveLength(4));
    browser.question.allow();
    expect(await chosen).toBe('in-use');
    expect(media.getSnapshot().camera).toMatchObject({ enabled: true, status: 'on', deviceId });
    expect(browser.live.map((track) => track.kind)).toEqual(['audio', 'video']);
  });

  test('[WB32] does not come back when the person switched it off meanwhile', async () => {
    const media = await opened();
    const chosen = media.choose('camera', 'other');
    browser.question.refuse('NotReadableError');
    await eventually(() => expect(browser.questions).toHaveLength(3));
    await media.setEnabled('camera', false);
    browser.question.refuse('NotReadableError');
    await chosen;
    expect(browser.questions).toHaveLength(3);
    expect(browser.live.map((track) => track.kind)).toEqual(['audio']);
  });
});

describe('what is asked of the browser', () => {
  test('[WB6] is stopped when the answer comes after the meeting was left', async () => {
    const media = new LocalMedia();
    const started = media.start();
    media.close('microphone');
    media.close('camera');
    browser.question.allow();
    await started;
    expect([browser.tracks.length, browser.live.length]).toEqual([2, 0]);
    expect(media.getSnapshot()).toMatchObject({ microphone: { status: 'off' }, camera: { status: 'off' } });
  });

  test('[WB6] a screen that is chosen after the meeting was left is stopped, and not shared at the next join', async () => {
    const edge = new ScriptedEdge();
    const meeting = meet(edge);
    await meeting.join();
    const screen = new ScreenShare(meeting);
    const sharing = screen.start();
    await meeting.leave();
    screen.stop();
    browser.question.allow();
    await sharing;
    await meeting.join();
    expect([browser.tracks.length, browser.live.length]).toEqual([2, 0]);
    expect(meeting.getSnapshot().localTracks.size).toBe(0);
  });

  test('[WB35] a second press while a screen is being chosen asks nothing more; after its end it does', async () => {
    const meeting = meet(new ScriptedEdge());
    const screen = new ScreenShare(meeting);
    const sharing = [screen.start(), screen.start()];
    expect(asked()).toEqual(['audio+video']);
    // What others take whole (SPEC MS11): a screen of 5K stays sharp.
    expect(browser.question.constraints.video).toMatchObject({
      width: { max: 5_120 },
      height: { max: 3_200 },
    });
    browser.question.refuse('NotAllowedError');
    await expect(sharing[0]).rejects.toThrow('NotAllowedError');
    await sharing[1];
    const again = screen.start();
    browser.question.allow();
    await again;
    expect([...meeting.getSnapshot().localTracks.keys()]).toEqual(['screen', 'screen-audio']);
    screen.stop();
    expect(browser.live).toEqual([]);
  });
});

test('[WB36] the sound of a screen is not captured where the meeting does not take it, and the picture goes on', async () => {
  const edge = new ScriptedEdge();
  edge.on['track.publish'] = ({ source }) =>
    source === 'screen-audio' ? refuse('forbidden') : { trackId: 'own-screen' };
  const meeting = meet(edge);
  await meeting.join();
  const screen = new ScreenShare(meeting);
  meeting.events.on('local-track-failed', () => screen.stopSound());
  const sharing = screen.start();
  browser.question.allow();
  await sharing;
  await eventually(() => expect(browser.live.map((track) => track.kind)).toEqual(['video']));
  expect([...meeting.getSnapshot().localTracks.keys()]).toEqual(['screen']);
});

describe('what is published of the own devices', () => {
  const local = (meeting: Meeting): Record<string, LocalTrack['paused']> =>
    Object.fromEntries(
      [...meeting.getSnapshot().localTracks].map(([source, { paused, mediaTrack }]) => [
        source,
        paused || mediaTrack === null,
      ]),
    );

  async function joined(edge: ScriptedEdge, media: LocalMedia): Promise<Meeting> {
    const meeting = meet(edge);
    const own = new OwnTracks(meeting, media, (thrown) => {
      throw thrown;
    });
    meeting.events.on('local-track-failed', ({ source }) => {
      if (source === 'microphone' || source === 'camera') media.switchOff(source);
    });
    own.start();
    await meeting.join();
    return meeting;
  }

  test('[WB4] a microphone that opens after it was muted is not heard, and nothing opens that was not wanted', async () => {
    const edge = new ScriptedEdge();
    const media = new LocalMedia();
    const started = media.start();
    const meeting = await joined(edge, media);
    await media.setEnabled('microphone', false);
    browser.question.allow();
    await started;
    await eventually(() => expect(edge.requests('track.publish')).toMatchObject([{ source: 'camera' }]));
    expect(local(meeting)).toEqual({ camera: false });
  });

  test('[WB4] mute, unmute and a silent device reach the others, the last one too', async () => {
    const edge = new ScriptedEdge();
    const media = await opened();
    const meeting = await joined(edge, media);
    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));
    await eventually(() => expect(meeting.getSnapshot().localTracks.get('microphone')?.status).toBe('live'));
    await media.setEnabled('microphone', false);
    await media.setEnabled('microphone', true);
    await media.setEnabled('microphone', false);
    expect(local(meeting)).toEqual({ microphone: true, camera: false });
    await eventually(() => expect(edge.requests('track.pause').at(-1)).toMatchObject({ paused: true }));
    await media.setEnabled('microphone', true);
    const [microphone] = browser.tracks;
    if (microphone === undefined) throw new Error('it was opened');
    microphone.remoteMute();
    expect(media.getSnapshot().microphone.silenced).toBe(true);
    expect(local(meeting)).toEqual({ microphone: true, camera: false });
  });

  test('[WB24] what the edge refuses is off at the button and at the device, and asked for once', async () => {
    const edge = new ScriptedEdge();
    edge.on['track.publish'] = () => refuse('forbidden');
    const media = await opened();
    const meeting = await joined(edge, media);
    await eventually(() => expect(browser.live).toEqual([]));
    expect(media.getSnapshot()).toMatchObject({ microphone: { enabled: false }, camera: { enabled: false } });
    expect(edge.requests('track.publish')).toHaveLength(2);
    expect(local(meeting)).toEqual({ microphone: true, camera: true });
  });
});

test('[WB2] a tab remembers whom it was in a room, the last eight', () => {
  expect(recallPeers('room')).toEqual([]);
  for (let join = 1; join <= 10; join += 1) rememberPeer('room', `p${join}`);
  rememberPeer('room', 'p5');
  expect(recallPeers('room')).toEqual(['p3', 'p4', 'p6', 'p7', 'p8', 'p9', 'p10', 'p5']);
  expect(recallPeers('other')).toEqual([]);
});
