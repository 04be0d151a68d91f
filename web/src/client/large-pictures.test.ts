import type { RoomTrack } from '@plenary/cluster/protocol';
import { FakeMediaStreamTrack } from 'fake-mediastreamtrack';
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { eventually } from './testing/eventually.ts';
import { consumerOffer, loggedEvent, peerOf, snapshotOf, trackOf } from './testing/fixtures.ts';
import { meet } from './testing/meet.ts';
import { ScriptedEdge } from './testing/scripted-edge.ts';
import type { Meeting } from './index.ts';

const GOOD = trackOf('t-good', 'peer-b', 'camera');
const BAD = trackOf('t-bad', 'peer-c', 'screen');
const CAMERA = trackOf('t-camera', 'peer-c', 'camera');
const NEXT = trackOf('t-next', 'peer-c', 'screen');
const VOICE = trackOf('t-voice', 'peer-c', 'microphone');

const offerOf = ({ trackId, peerId, source }: typeof GOOD) =>
  consumerOffer(`c-${trackId}`, { trackId, peerId, source });

const statusOf = (meeting: Meeting, trackId: string) =>
  [...meeting.getSnapshot().remoteTracks.values()].find((track) => track.trackId === trackId);

function sizes(meeting: Meeting, trackId: string, width: number, height: number): void {
  const mediaTrack = statusOf(meeting, trackId)?.mediaTrack;
  if (mediaTrack === undefined) throw new Error(`${trackId} is not received`);
  vi.spyOn(mediaTrack, 'getSettings').mockReturnValue({ width, height });
}

describe('video that is too large for a browser', () => {
  beforeEach(() => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  async function watching(...tracks: RoomTrack[]): Promise<{ edge: ScriptedEdge; meeting: Meeting }> {
    const edge = new ScriptedEdge();
    const peers = ['self', ...new Set(tracks.map(({ peerId }) => peerId))].map((peerId) => peerOf(peerId));
    edge.room = snapshotOf({ tracks, peers });
    edge.consumers = tracks.map((track) => offerOf(track));
    edge.on.subscribe = ({ trackIds }) => ({
      consumers: trackIds.map((trackId) => offerOf({ ...NEXT, trackId })),
      failed: [],
    });
    const meeting = meet(edge);
    await meeting.join();
    await eventually(() => {
      for (const { trackId } of tracks) expect(statusOf(meeting, trackId)?.status).toBe('live');
    });
    return { edge, meeting };
  }

  const waitForCheck = async (): Promise<void> => {
    await vi.advanceTimersByTimeAsync(500);
  };
  const statuses = (meeting: Meeting): Record<string, string> =>
    Object.fromEntries(
      [...meeting.getSnapshot().remoteTracks.values()].map(({ trackId, status }) => [trackId, status]),
    );

  test.each([
    ['camera', 4_096, 2_304, 'live'],
    ['camera', 2_304, 4_096, 'live'],
    ['camera', 4_096, 2_305, 'failed'],
    ['screen', 5_120, 3_200, 'live'],
    ['screen', 5_120, 3_201, 'failed'],
    ['screen', 16_383, 16_383, 'failed'],
  ] as const)('[MS11] a %s of %d × %d pixels is %s', async (source, width, height, status) => {
    const track = trackOf('t-one', 'peer-b', source);
    const { meeting } = await watching(track);
    sizes(meeting, 't-one', 640, 360);
    await waitForCheck();

    expect(statuses(meeting)).toEqual({ 't-one': 'live' });

    sizes(meeting, 't-one', width, height);
    await waitForCheck();

    expect(statuses(meeting)).toEqual({ 't-one': status });
  });

  test('[MS11] [MS50] [MS45] is refused track by track; after a second one, all video of that peer is refused; the edge gets a report, and other tracks play on', async () => {
    const { edge, meeting } = await watching(GOOD, BAD, CAMERA, VOICE);
    sizes(meeting, 't-bad', 16_383, 16_383);
    await waitForCheck();

    expect(statuses(meeting)).toEqual({
      't-good': 'live',
      't-bad': 'failed',
      't-camera': 'live',
      't-voice': 'live',
    });
    expect(edge.requests('consumer.failed')).toMatchObject([{ consumerId: 'c-t-bad', trackId: 't-bad' }]);

    await vi.advanceTimersByTimeAsync(60_000);

    expect(edge.requests('subscribe')).toEqual([]);

    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'track.published', track: NEXT }));

    await eventually(() => expect(statusOf(meeting, 't-next')?.mediaTrack).toBeDefined());

    sizes(meeting, 't-next', 16_383, 16_383);

    await eventually(() =>
      expect(statuses(meeting)).toEqual({
        't-good': 'live',
        't-bad': 'failed',
        't-camera': 'failed',
        't-voice': 'live',
        't-next': 'failed',
      }),
    );
    expect(edge.requests('consumer.failed').map(({ trackId }) => trackId)).toEqual([
      't-bad',
      't-camera',
      't-next',
    ]);
  });

  test('[MS46] that is too large only together with others is refused from the largest track on, and its peers keep their other video', async () => {
    const many = Array.from({ length: 8 }, (_, count) => trackOf(`t-${count}`, `peer-${count}`, 'camera'));
    const screen = trackOf('t-screen', 'peer-0', 'screen');
    const { meeting } = await watching(...many, screen);
    for (const { trackId } of many) sizes(meeting, trackId, 3_840, 2_160);
    sizes(meeting, 't-screen', 0, 0);
    await waitForCheck();

    expect(new Set(Object.values(statuses(meeting)))).toEqual(new Set(['live']));

    sizes(meeting, 't-screen', 5_120, 3_200);
    await waitForCheck();
    const cameras = Object.fromEntries(many.map(({ trackId }) => [trackId, 'live']));

    expect(statuses(meeting)).toEqual({ ...cameras, 't-screen': 'failed' });

    sizes(meeting, 't-0', 4_096, 2_304);
    await waitForCheck();

    expect(statuses(meeting)).toEqual({ ...cameras, 't-0': 'failed', 't-screen': 'failed' });
  });

  test('[MS47] in a replacement is checked before it is shown', async () => {
    const { edge, meeting } = await watching(CAMERA);
    vi.spyOn(FakeHandler.prototype, 'getReceiverStats').mockImplementation(() =>
      Promise.resolve(new Map([['in', { type: 'inbound-rtp', framesDecoded: 0 }]])),
    );
    sizes(meeting, 't-camera', 640, 360);
    const before = statusOf(meeting, 't-camera')?.mediaTrack;
    vi.spyOn(FakeMediaStreamTrack.prototype, 'getSettings').mockReturnValue({
      width: 16_383,
      height: 16_383,
    });
    edge.on.subscribe = () => ({
      consumers: [offerOf({ ...CAMERA, trackId: NEXT.trackId })],
      failed: [],
    });
    const track = { ...trackOf('t-next', 'peer-c', 'camera'), replaces: CAMERA.trackId };
    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'track.published', track }));

    await eventually(() => expect(edge.requests('consumer.failed')).toMatchObject([{ trackId: 't-next' }]));

    await vi.advanceTimersByTimeAsync(10_000);

    expect(edge.requests('subscribe')).toHaveLength(1);
    expect(statusOf(meeting, 't-next')).toMatchObject({ status: 'live', mediaTrack: before });
  });

  test('[MS45] is no longer counted against a peer that left', async () => {
    const { edge, meeting } = await watching(GOOD, BAD);
    sizes(meeting, 't-bad', 16_383, 16_383);
    await waitForCheck();
    const { peerId } = BAD;
    edge.notify('event', loggedEvent('101-0', '100-0', { type: 'peer.left', peerId, reason: 'left' }));
    edge.notify('event', loggedEvent('102-0', '101-0', { type: 'peer.joined', peer: peerOf('peer-c') }));
    edge.notify('event', loggedEvent('103-0', '102-0', { type: 'track.published', track: BAD }));
    edge.notify('event', loggedEvent('104-0', '103-0', { type: 'track.published', track: NEXT }));

    await eventually(() => expect(statuses(meeting)).toMatchObject({ 't-bad': 'live', 't-next': 'live' }));

    sizes(meeting, 't-next', 16_383, 16_383);
    await waitForCheck();

    expect(statuses(meeting)).toMatchObject({ 't-bad': 'live', 't-next': 'failed' });
  });
});
