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

const prompts = (): string[] => browser.questions.map(({ kinds }) => kinds.join('+'));

/** Both devices are open. */
async function opened(): Promise<LocalMedia> {
  const media = new LocalMedia();
  const started = media.start();
  browser.question.allow();
  await started;
  return media;
}

describe('a device that was switched off', () => {
  test('[WB5] is off and not requested after a reload, in another tab, and after a leave', async () => {
    const media = await opened();
    await media.setEnabled('microphone', false);
    await media.setEnabled('camera', false);
    const reloaded = new LocalMedia();
    await reloaded.start();

    expect(prompts()).toEqual(['audio+video']);
    expect(reloaded.getSnapshot()).toMatchObject({
      microphone: { enabled: false, track: undefined },
      camera: { enabled: false, track: undefined },
    });

    media.close('microphone');
    await media.start();

    expect(prompts()).toEqual(['audio+video']);
  });

  test('[WB5] is on again after it was switched on, and no other device is', async () => {
    const media = await opened();
    await media.setEnabled('microphone', false);
    await media.setEnabled('camera', false);
    const switchedOn = media.setEnabled('camera', true);
    browser.question.allow();
    await switchedOn;
    const reloaded = new LocalMedia();
    const started = reloaded.start();

    await eventually(() => expect(prompts()).toEqual(['audio+video', 'video', 'video']));

    browser.question.allow();
    await started;

    expect(isSending(reloaded.getSnapshot().camera)).toBe(true);
  });

  test.each(['microphone', 'camera'] as const)(
    '[WB5] stays off if the user answers the browser’s prompt afterwards (%s)',
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

  test('[WB5] is not requested after the prompt for both devices was refused', async () => {
    const media = new LocalMedia();
    const started = media.start();
    await media.setEnabled('camera', false);
    browser.question.refuse('NotAllowedError');

    await eventually(() => expect(prompts()).toEqual(['audio+video', 'audio']));

    browser.question.refuse('NotAllowedError');
    await started;

    expect(prompts()).toEqual(['audio+video', 'audio']);
  });

  test('[WB5] stays off when another device is chosen', async () => {
    const media = await opened();
    await media.setEnabled('microphone', false);
    await media.choose('microphone', 'headset');

    expect(prompts()).toEqual(['audio+video']);
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
    '[WB28] is off after a reload even if the browser’s storage is %s',
    async (state) => {
      browser.spoilStorage(state);
      const media = await opened();
      await media.setEnabled('camera', false);
      browser.reload();
      const reloaded = new LocalMedia();
      await reloaded.start();

      expect(prompts()).toEqual(['audio+video']);
      expect(reloaded.getSnapshot()).toMatchObject({
        microphone: { enabled: false },
        camera: { enabled: false },
      });
    },
  );

  test('[WB26] that was unplugged is off with a message, and does not switch on automatically', async () => {
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

describe('a change of device', () => {
  test('[WB32] keeps the old device if the new one cannot be opened', async () => {
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

  test('[WB32] closes the old device first if the system opens only one at a time', async () => {
    const media = await opened();
    const chosen = media.choose('camera', 'other');
    browser.question.refuse('NotReadableError');

    await eventually(() => expect(browser.questions).toHaveLength(3));

    browser.question.allow();

    expect(await chosen).toBeUndefined();
    expect(browser.live.map((track) => track.kind)).toEqual(['audio', 'video']);
  });
});

describe('a device change that something interrupts', () => {
  test('[WB32] shows the device in use if neither of two chosen devices can be opened', async () => {
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

  test('[WB34] switches to the chosen device if the old one is unplugged meanwhile', async () => {
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

  test('[WB33] does not switch to a third device if the old one is unplugged meanwhile', async () => {
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

test('[WB30] a device that the system mutes shows as waiting, because it resumes with the system, and can be switched off', async () => {
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

describe('a device that was closed for another one', () => {
  test('[WB32] is opened again if the other device turns out to be in use by another program', async () => {
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

  test('[WB32] stays closed if the user switched it off meanwhile', async () => {
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

describe('a request to the browser', () => {
  test('[WB6] for a device that is granted after the leave ends with the device stopped', async () => {
    const media = new LocalMedia();
    const started = media.start();
    media.close('microphone');
    media.close('camera');
    browser.question.allow();
    await started;

    expect([browser.tracks.length, browser.live.length]).toEqual([2, 0]);
    expect(media.getSnapshot()).toMatchObject({ microphone: { status: 'off' }, camera: { status: 'off' } });
  });

  test('[WB6] for a screen that is granted after the leave ends with the screen stopped, and not shared at the next join', async () => {
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

  test('[WB35] for a screen is not repeated while the user chooses one, and is possible again after the share ended', async () => {
    const meeting = meet(new ScriptedEdge());
    const screen = new ScreenShare(meeting);
    const sharing = [screen.start(), screen.start()];

    expect(prompts()).toEqual(['audio+video']);
    // The largest size that other browsers accept (SPEC MS11): a 5K screen stays sharp.
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

test('[WB36] the sound of a screen is not captured if the meeting does not accept it, and the video goes on', async () => {
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

describe('publishing of the own devices', () => {
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

  test('[WB4] a microphone that opens after a mute sends nothing, and no unwanted device opens', async () => {
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

  test('[WB4] mute, unmute and a device that falls silent reach the edge, including the last change', async () => {
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

  test('[WB24] a source that the edge refuses is off at button and device, and requested once', async () => {
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

test('[WB2] a tab remembers its last eight peers of a room', () => {
  expect(recallPeers('room')).toEqual([]);

  for (let join = 1; join <= 10; join += 1) rememberPeer('room', `p${join}`);
  rememberPeer('room', 'p5');

  expect(recallPeers('room')).toEqual(['p3', 'p4', 'p6', 'p7', 'p8', 'p9', 'p10', 'p5']);
  expect(recallPeers('other')).toEqual([]);
});
