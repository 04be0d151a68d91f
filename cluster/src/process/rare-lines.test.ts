import { expect, it } from 'vitest';
import { ManualClock } from '../clock.ts';
import { RareLines } from './rare-lines.ts';

it('[BU8] lines of one kind are ten seconds apart, and say how many were left out', () => {
  const clock = new ManualClock();
  const lines = new RareLines(clock);
  const said: string[] = [];
  const flood = (kind: string, times: number): void => {
    for (let time = 0; time < times; time += 1) lines.say(kind, (unsaid) => said.push(`${kind} ${unsaid}`));
  };
  flood('forbidden', 500);
  flood('unauthorized', 1);
  clock.advance(9_999);
  flood('forbidden', 1);
  expect(said).toEqual(['forbidden 0', 'unauthorized 0']);
  clock.advance(1);
  flood('forbidden', 2);
  expect(said.slice(2)).toEqual(['forbidden 500']);
});
