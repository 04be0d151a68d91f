import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Meeting } from './index.ts';
import { eventually } from './testing/eventually.ts';
import { consumerOffer, FIRST_EPOCH, mediaOffer, snapshotOf, trackOf } from './testing/fixtures.ts';
import { heldDevice } from './testing/held-device.ts';
import { audioTrack, meet } from './testing/meet.ts';
import { ScriptedEdge, refuse } from './testing/scripted-edge.ts';

/** The statistics that the browser gives for every receiver. */
let framesDecoded = 0;
let handlers: FakeHandler[] = [];

beforeEach(() => {
  framesDecoded = 0;
  handlers = [];
  vi.spyOn(FakeHandler.prototype, 'getReceiverStats').mockImplementation(() =>
    Promise.resolve(
      new Map([['in', { type: 'inbound-rtp', framesDecoded, packetsReceived: framesDecoded }]]),
    ),
  );
});
afterEach(() => {
  vi.restoreAllMocks();
});

const device = () => heldDevice(handlers);

const connectAll = (): void => {
  for (const handler of handlers) handler.setConnectionState('connected');
};

const CAMERA = trackOf('t-camera', 'peer-b', 'camera');
const shown = (meeting: Meeting) => [...meeting.getSnapshot().remoteTracks.values()];

async function watching(): Promise<{ edge: ScriptedEdge; meeting: Meeting }> {
  const edge = new ScriptedEdge();
  edge.room = snapshotOf({ tracks: [CAMERA] });
  edge.consumers = [consumerOffer('old', { trackId: 't-camera', peerId: 'peer-b', source: 'camera' })];
  const meeting = meet(edge, { createDevice: device });
  await meeting.publish('microphone', audioTrack());
  await meeting.join();
  await eventually(() => expect(shown(meeting)[0]?.status).toBe('live'));
  await eventually(() => expect(edge.requests('track.publish')).toHaveLength(1));
  connectAll();
  edge.on['media.open'] = ({ moveFrom }) => mediaOffer([], moveFrom === undefined ? 9 : 2);
  return { edge, meeting };
}

describe('a media session that moves', () => {
  test('[DR3] [DR13] opens on the new node beside the old one, which is closed when nobody needs it', async () => {
    const { edge, meeting } = await watching();
    const [before] = shown(meeting);
    edge.notify('media.move', { epoch: FIRST_EPOCH });
    edge.notify('media.move', { epoch: FIRST_EPOCH });

    await eventually(() => expect(handlers).toHaveLength(4));
    expect(edge.requests('media.open')).toMatchObject([{ moveFrom: FIRST_EPOCH }]);
    expect(edge.requests('subscribe')).toEqual([]);

    connectAll();

    await eventually(() => expect(edge.requests('track.publish')).toHaveLength(2));
    expect(edge.requests('track.publish')[1]).toMatchObject({
      epoch: 2,
      replaces: 'own-1',
      source: 'microphone',
    });
    await eventually(() =>
      expect(edge.requests('subscribe')).toEqual([{ trackIds: ['t-camera'], epoch: 2 }]),
    );
    await eventually(() =>
      expect(meeting.getSnapshot().localTracks.get('microphone')?.trackId).toBe('own-2'),
    );
    expect(shown(meeting)[0]?.mediaTrack).toBe(before?.mediaTrack);
    expect(edge.requests('media.moved')).toEqual([]);

    framesDecoded = 1;

    await eventually(() => expect(shown(meeting)[0]?.mediaTrack).not.toBe(before?.mediaTrack));
    expect(shown(meeting)[0]?.status).toBe('live');
    expect(edge.requests('media.moved')).toEqual([]);

    edge.notify('track.demand', { trackId: 'own-1', wanted: null });

    await eventually(() => expect(edge.requests('media.moved')).toEqual([{ epoch: 2 }]));
    expect(meeting.counters).toMatchObject({ moved: 1, mediaReopened: 0 });
    // Otherwise two clients that leave one node would each wait for the other to unsubscribe.
    expect(edge.requests('unsubscribe')).toEqual([{ consumerIds: ['old'], epoch: FIRST_EPOCH }]);
    expect(edge.requests('track.end')).toEqual([]);
  });

  test('[DR15] applies a mute on both nodes during the move', async () => {
    const { edge, meeting } = await watching();
    edge.notify('media.move', { epoch: FIRST_EPOCH });

    await eventually(() => expect(handlers).toHaveLength(4));

    connectAll();

    await eventually(() =>
      expect(meeting.getSnapshot().localTracks.get('microphone')?.trackId).toBe('own-2'),
    );

    meeting.setMuted('microphone', true);

    await eventually(() =>
      expect(edge.requests('track.pause')).toEqual([{ trackId: 'own-2', paused: true, epoch: 2 }]),
    );

    const sent = await meeting.stats();

    expect(sent.sent).toHaveLength(1);
  });

  test('[DR16] [DR28] stays on the old node if the new one cannot be reached, and another node is offered next', async () => {
    const { edge, meeting } = await watching();
    const [before] = shown(meeting);
    edge.notify('media.move', { epoch: FIRST_EPOCH });

    await eventually(() => expect(handlers).toHaveLength(4));

    edge.notify('media.lost', { reason: 'node_lost', epoch: 2 });
    edge.on['media.open'] = () => mediaOffer([], 3);

    await eventually(() => {
      edge.notify('media.move', { epoch: FIRST_EPOCH });
      expect(edge.requests('media.open')).toMatchObject([{}, { moveFrom: FIRST_EPOCH, insteadOf: 2 }]);
    });
    expect(shown(meeting)[0]?.mediaTrack).toBe(before?.mediaTrack);
    expect(meeting.counters.mediaReopened).toBe(0);
  });

  test('[DR16] goes on if no other node accepts it', async () => {
    const { edge, meeting } = await watching();
    edge.on['media.open'] = () => refuse('no_media_node');
    edge.notify('media.move', { epoch: FIRST_EPOCH });

    await eventually(() => expect(edge.received.filter(({ name }) => name === 'media.open')).toHaveLength(1));
    expect(shown(meeting)[0]?.status).toBe('live');
    expect(meeting.getSnapshot().media).toBe('connected');
  });

  test('[DR19] that is lost during the move is reopened once', async () => {
    const { edge, meeting } = await watching();
    edge.notify('media.move', { epoch: FIRST_EPOCH });

    await eventually(() => expect(handlers).toHaveLength(4));

    connectAll();

    await eventually(() => expect(edge.requests('subscribe')).toHaveLength(1));

    edge.notify('media.lost', { reason: 'node_lost', epoch: FIRST_EPOCH });
    edge.notify('media.lost', { reason: 'node_lost', epoch: 2 });

    await eventually(() => expect(meeting.counters.mediaReopened).toBe(1));
    await eventually(() => expect(edge.requests('track.publish').at(-1)).toMatchObject({ epoch: 9 }));
    expect(edge.requests('media.moved')).toEqual([]);
  });
});

describe('a track that replaces another one', () => {
  const publish = (edge: ScriptedEdge): void => {
    const track = { ...trackOf('t-new', 'peer-b', 'camera'), replaces: 't-camera' };
    edge.room = { ...edge.room, tracks: [...edge.room.tracks, trackOf('t-new', 'peer-b', 'camera')] };
    edge.notify('event', { id: '101-0', previousId: '100-0', event: { type: 'track.published', track } });
  };
  const end = (edge: ScriptedEdge): void =>
    edge.notify('event', {
      id: '102-0',
      previousId: '101-0',
      event: { type: 'track.ended', trackId: 't-camera', peerId: 'peer-b', reason: 'transport_closed' },
    });

  test('[DR4] is shown as soon as it plays, and is then the only one', async () => {
    const { edge, meeting } = await watching();
    const [before] = shown(meeting);
    meeting.setWantedVideo(new Map([[CAMERA.trackId, 180]]));
    publish(edge);

    await eventually(() => expect(edge.requests('subscribe')).toMatchObject([{ trackIds: ['t-new'] }]));
    expect(shown(meeting)).toMatchObject([
      { trackId: 't-new', status: 'live', mediaTrack: before?.mediaTrack },
    ]);

    framesDecoded = 1;

    await eventually(() => expect(edge.requests('unsubscribe')).toMatchObject([{ consumerIds: ['old'] }]));
    expect(shown(meeting)).toMatchObject([{ trackId: 't-new', status: 'live' }]);
    expect(shown(meeting)[0]?.mediaTrack).not.toBe(before?.mediaTrack);

    end(edge);

    expect(shown(meeting)).toMatchObject([{ trackId: 't-new', status: 'live' }]);
    expect(edge.requests('subscribe')).toHaveLength(1);
  });

  test('[DR4] is shown although the old track ended before it plays', async () => {
    const { edge, meeting } = await watching();
    const [before] = shown(meeting);
    publish(edge);
    end(edge);
    edge.notify('consumer.closed', { consumerId: 'old', trackId: 't-camera' });

    await eventually(() => expect(shown(meeting)[0]?.mediaTrack).not.toBe(before?.mediaTrack));
    expect(shown(meeting)).toMatchObject([{ trackId: 't-new', status: 'live' }]);
    expect(edge.requests('subscribe')).toHaveLength(1);
  });
});
