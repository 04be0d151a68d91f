/** Which simulcast layers a publisher sends while its media session moves to another node. */
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { eventually } from './testing/eventually.ts';
import { FIRST_EPOCH, mediaOffer } from './testing/fixtures.ts';
import { heldDevice } from './testing/held-device.ts';
import { meet, videoTrack } from './testing/meet.ts';
import { ScriptedEdge } from './testing/scripted-edge.ts';

let handlers: FakeHandler[] = [];
/** The highest layer that each change names, with the number of the transport that it is for. */
let changes: { readonly transport: number; readonly layer: number }[] = [];

beforeEach(() => {
  handlers = [];
  changes = [];
  const original = FakeHandler.prototype.setMaxSpatialLayer;
  vi.spyOn(FakeHandler.prototype, 'setMaxSpatialLayer').mockImplementation(function (
    this: FakeHandler,
    localId,
    layer,
  ) {
    changes.push({ transport: handlers.indexOf(this), layer });
    return original.call(this, localId, layer);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

const connectAll = (): void => {
  for (const handler of handlers) handler.setConnectionState('connected');
};

/** A camera of which the lowest layer is wanted, and whose media session has begun to move. */
async function movingCamera() {
  const edge = new ScriptedEdge();
  const meeting = meet(edge, { createDevice: () => heldDevice(handlers) });
  await meeting.publish('camera', videoTrack());
  await meeting.join();
  await eventually(() => expect(edge.requests('track.publish')).toHaveLength(1));
  await eventually(() => expect(meeting.getSnapshot().localTracks.get('camera')?.trackId).toBe('own-1'));
  connectAll();
  edge.notify('track.demand', { trackId: 'own-1', wanted: 0 });
  await eventually(() => expect(changes).toHaveLength(1));
  edge.on['media.open'] = () => mediaOffer([], 2);
  edge.notify('media.move', { epoch: FIRST_EPOCH });
  await eventually(() => expect(handlers).toHaveLength(4));
  return { edge, meeting };
}

test('[DR29] a track follows the demand of its viewers until the new media session is connected', async () => {
  const { edge } = await movingCamera();
  const [first] = changes;
  edge.notify('track.demand', { trackId: 'own-1', wanted: 2 });
  await eventually(() => expect(changes).toEqual([first, { transport: first?.transport, layer: 2 }]));
});

test('[DR30] a track that was replaced keeps the layers that it sends', async () => {
  const { edge, meeting } = await movingCamera();
  const before = [...changes];
  connectAll();
  await eventually(() => expect(meeting.getSnapshot().localTracks.get('camera')?.trackId).toBe('own-2'));
  edge.notify('track.demand', { trackId: 'own-1', wanted: 2 });
  edge.notify('track.demand', { trackId: 'own-2', wanted: 1 });
  await eventually(() => expect(changes.length).toBeGreaterThan(before.length));
  expect(changes.filter(({ transport }) => transport === before[0]?.transport)).toEqual(before);
});

test('[DR31] a track that replaces another one sends all layers until somebody demands fewer of it', async () => {
  const { edge, meeting } = await movingCamera();
  const ofOld = changes[0]?.transport;
  connectAll();
  await eventually(() => expect(meeting.getSnapshot().localTracks.get('camera')?.trackId).toBe('own-2'));
  expect(changes.filter(({ transport }) => transport !== ofOld)).toEqual([]);
  edge.notify('track.demand', { trackId: 'own-2', wanted: 1 });
  await eventually(() => expect(changes.at(-1)).toMatchObject({ layer: 1 }));
  expect(changes.at(-1)?.transport).not.toBe(ofOld);
});
