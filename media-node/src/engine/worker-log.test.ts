import { describe, expect, test } from 'vitest';
import { isCloseOfClosed } from './worker-log.ts';

describe('what mediasoup reports', () => {
  test.each([
    '[pid:22400] RTC::Transport::AssertAndGetConsumerById() | throwing MediaSoupNotFoundError: Consumer not found [method:transport.closeConsumer]',
    '[pid:7] RTC::Router::AssertAndGetTransportById() | throwing MediaSoupNotFoundError: Transport not found [method:router.closeTransport]',
  ])('[LC11] closing an object that has closed already is not a fault: %s', (said) => {
    expect(isCloseOfClosed(said)).toBe(true);
  });

  test.each([
    '[pid:7] RTC::Transport::AssertAndGetConsumerById() | throwing MediaSoupNotFoundError: Consumer not found [method:consumer.resume]',
    '[pid:7] RTC::PortManager::Bind() | throwing MediaSoupError: port bind failed due to address already in use',
  ])('[WK16] anything else is a fault: %s', (said) => {
    expect(isCloseOfClosed(said)).toBe(false);
  });
});
