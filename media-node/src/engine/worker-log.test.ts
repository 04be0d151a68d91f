import { describe, expect, test } from 'vitest';
import { isCloseOfClosed } from './worker-log.ts';

describe('what mediasoup complains of', () => {
  test.each([
    '[pid:22400] RTC::Transport::AssertAndGetConsumerById() | throwing MediaSoupNotFoundError: Consumer not found [method:transport.closeConsumer]',
    '[pid:7] RTC::Router::AssertAndGetTransportById() | throwing MediaSoupNotFoundError: Transport not found [method:router.closeTransport]',
  ])('[LC11] the end of something that ended by itself meanwhile is no fault: %s', (said) => {
    expect(isCloseOfClosed(said)).toBe(true);
  });

  test.each([
    '[pid:7] RTC::Transport::AssertAndGetConsumerById() | throwing MediaSoupNotFoundError: Consumer not found [method:consumer.resume]',
    '[pid:7] RTC::PortManager::Bind() | throwing MediaSoupError: port bind failed due to address already in use',
  ])('[WK16] anything else is: %s', (said) => {
    expect(isCloseOfClosed(said)).toBe(false);
  });
});
