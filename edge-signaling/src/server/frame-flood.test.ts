import { ManualClock } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { FrameBudgets, FrameGuard } from '../limits/frame-budgets.ts';
import { FLOOD_SETTINGS } from '../limits/flood-settings.ts';
import { faultOfFrame, FrameGuards } from './frame-flood.ts';

describe('a frame that came in', () => {
  it.each([
    { verdict: 'allowed', isText: true, code: undefined },
    { verdict: 'allowed', isText: false, code: 'malformed_message' },
    { verdict: 'flooding', isText: true, code: 'flooding' },
    { verdict: 'flooding', isText: false, code: 'flooding' },
    { verdict: 'rate_limited', isText: true, code: 'rate_limited' },
    { verdict: 'rate_limited', isText: false, code: 'rate_limited' },
  ] as const)('[RL2] of verdict $verdict (text: $isText) ends in $code', ({ verdict, isText, code }) => {
    expect(faultOfFrame(verdict, isText)?.code).toBe(code);
  });
});

describe('pings and pongs', () => {
  const log = { cutOff: () => undefined };
  const budgets = new FrameBudgets({ clock: new ManualClock(), socketsPerAddress: 1_000, log });
  const guards = new FrameGuards((address) => new FrameGuard(budgets, address));

  it('[RL10] count as frames, and end a connection that has none left', () => {
    const connection = { transport: {} };
    const frames = guards.opened(connection, '192.0.2.1');
    for (let frame = 1; frame < FLOOD_SETTINGS.frames.capacity; frame += 1) frames.onFrame(1);
    expect(guards.allowsControlFrame(connection.transport)).toBe(true);
    expect(guards.allowsControlFrame(connection.transport)).toBe(false);
  });

  it('[RL10] end a connection that nobody guards', () => {
    expect(guards.allowsControlFrame({})).toBe(false);
    expect(guards.allowsControlFrame(undefined)).toBe(false);
  });
});
