import { Device, testFakeParameters } from 'mediasoup-client';
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';

/** mediasoup-client's fake browser, whose transports connect when the test says so. @param handlers - receives one handler per transport */
export function heldDevice(handlers: FakeHandler[]): Promise<Device> {
  const real = FakeHandler.createFactory(testFakeParameters);
  const factory: typeof real.factory = (options) => {
    const handler = real.factory(options);
    if (handler instanceof FakeHandler) handlers.push(handler);
    return handler;
  };
  return Device.factory({ handlerFactory: { ...real, factory } });
}
