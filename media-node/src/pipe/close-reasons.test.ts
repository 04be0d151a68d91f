import { expect, test } from 'vitest';
import { PULLING_CLOSE_REASONS, SENDING_CLOSE_REASONS } from './close-reasons.ts';

test('one side of a pipe is notified of the end that the other decides, and no side is notified of its own', () => {
  const telling = (
    ends: Readonly<Record<string, { readonly notifiesHome?: boolean; readonly notifiesRequester?: boolean }>>,
  ) =>
    Object.entries(ends)
      .filter(
        ([, { notifiesHome, notifiesRequester }]) => notifiesHome === true || notifiesRequester === true,
      )
      .map(([reason]) => reason);
  expect(telling(PULLING_CLOSE_REASONS)).toEqual(['unused', 'transport_closed', 'room_closed']);
  expect(telling(SENDING_CLOSE_REASONS)).toEqual(['transport_closed']);
});

test('[GW3] a gateway that died or closed the pipe counts as failed; an end by this side does not', () => {
  const failing = Object.entries(PULLING_CLOSE_REASONS).filter(([, { failsGateway }]) => failsGateway);
  expect(failing.map(([reason]) => reason)).toEqual(['home_closed', 'link_broken']);
});
