import type { WantedLayer } from '@plenary/cluster/protocol';
import { Turns } from '@plenary/cluster/turns';
import { testFakeParameters, type types } from 'mediasoup-client';
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, expect, test, vi } from 'vitest';
import { encodingPlan } from './encodings.ts';
import { SentLayers } from './sent-layers.ts';
import { eventually } from './testing/eventually.ts';
import { mediaOffer } from './testing/fixtures.ts';
import { videoTrack } from './testing/meet.ts';
import { fakeDevice } from './testing/scripted-edge.ts';

afterEach(() => vi.restoreAllMocks());

/** A camera with three layers, by mediasoup-client's own producer. */
async function sendCamera(): Promise<types.Producer> {
  const device = await fakeDevice();
  await device.load({ routerRtpCapabilities: testFakeParameters.generateRouterRtpCapabilities() });
  const transport = device.createSendTransport(mediaOffer().receiveTransport);
  transport.on('connect', (_parameters, connected) => connected());
  transport.on('produce', (_parameters, produced) => produced({ id: 'camera' }));
  return transport.produce({ track: videoTrack(), encodings: encodingPlan('camera').encodings ?? [] });
}

test('[DM4] layers that are demanded again while the browser switches them off are switched on afterwards', async () => {
  const producer = await sendCamera();
  const layers = new SentLayers(new Turns(), { warn: () => undefined });
  const want = (wanted: WantedLayer): void => layers.apply(producer, wanted);
  const browser = vi.spyOn(FakeHandler.prototype, 'setMaxSpatialLayer');
  want(0);
  want(2);

  await eventually(() => expect(producer.maxSpatialLayer).toBe(2));

  const { promise, resolve } = Promise.withResolvers<void>();
  browser.mockImplementationOnce(() => promise);
  want(0);

  await eventually(() => expect(browser).toHaveBeenCalledTimes(3));

  want(2);
  resolve();

  await eventually(() => expect(browser.mock.calls.map(([, layer]) => layer)).toEqual([0, 2, 0, 2]));
});
