import { expect, test } from 'vitest';
import { ASKING_ENDS, HOME_ENDS } from './pipe-ends.ts';

test('one side of a pipe is told of the end that the other one decides, and no side is told back', () => {
  const telling = (
    ends: Readonly<Record<string, { readonly tellsHome?: boolean; readonly tellsAsker?: boolean }>>,
  ) =>
    Object.entries(ends)
      .filter(([, { tellsHome, tellsAsker }]) => tellsHome === true || tellsAsker === true)
      .map(([reason]) => reason);
  expect(telling(ASKING_ENDS)).toEqual(['unused', 'port_closed', 'node_stopping']);
  expect(telling(HOME_ENDS)).toEqual(['port_closed']);
});

test('[GW3] a gateway that is gone, or closes a pipe by itself, counts as failed; an end of this side says nothing of it', () => {
  const failing = Object.entries(ASKING_ENDS).filter(([, { failsGateway }]) => failsGateway);
  expect(failing.map(([reason]) => reason)).toEqual(['home_closed', 'link_broken']);
});
