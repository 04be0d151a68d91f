import { expect, test } from 'vitest';
import { ASKING_ENDS, HOME_ENDS } from './pipe-ends.ts';

test('one side of a pipe is notified of the end that the other decides, and no side is notified of its own', () => {
  const telling = (
    ends: Readonly<Record<string, { readonly tellsHome?: boolean; readonly tellsAsker?: boolean }>>,
  ) =>
    Object.entries(ends)
      .filter(([, { tellsHome, tellsAsker }]) => tellsHome === true || tellsAsker === true)
      .map(([reason]) => reason);
  expect(telling(ASKING_ENDS)).toEqual(['unused', 'port_closed', 'node_stopping']);
  expect(telling(HOME_ENDS)).toEqual(['port_closed']);
});

test('[GW3] a gateway that died or closed the pipe counts as failed; an end by this side does not', () => {
  const failing = Object.entries(ASKING_ENDS).filter(([, { failsGateway }]) => failsGateway);
  expect(failing.map(([reason]) => reason)).toEqual(['home_closed', 'link_broken']);
});
