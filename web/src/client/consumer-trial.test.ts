import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { testFakeParameters } from 'mediasoup-client';
import { afterEach, expect, test, vi } from 'vitest';
import { ConsumerTrial } from './consumer-trial.ts';
import { consumerOffer, trackOf } from './testing/fixtures.ts';
import { heldDevice } from './testing/held-device.ts';

afterEach(() => vi.restoreAllMocks());

const offerOf = (name: string) => consumerOffer(`c-${name}`, trackOf(name, `peer-${name}`, 'microphone'));

/** @returns a trial, and the transports that it opened */
async function newTrial() {
  const handlers: FakeHandler[] = [];
  const device = await heldDevice(handlers);
  await device.load({ routerRtpCapabilities: testFakeParameters.generateRouterRtpCapabilities() });
  return { trial: new ConsumerTrial(device), transports: handlers };
}

test('[MS51] a consumer of a new form is tried on a transport of its own before one that is in use', async () => {
  const { trial, transports } = await newTrial();
  expect(await trial.passes(offerOf('voice'), true)).toBe(true);
  expect(transports).toHaveLength(1);
  vi.spyOn(FakeHandler.prototype, 'receive').mockRejectedValue(new Error('Failed to parse.'));
  expect(await trial.passes(offerOf('voice'), true)).toBe(false);
  expect(transports).toHaveLength(2);
});

test('[MS52] a consumer of a form that the browser accepted is not tried', async () => {
  const { trial, transports } = await newTrial();
  trial.accepted(offerOf('voice'));
  expect(await trial.passes(offerOf('another-voice'), true)).toBe(true);
  expect(transports).toEqual([]);
});
