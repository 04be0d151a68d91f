import { roomName } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { parseRoomPatterns } from './guest-rooms.ts';

describe('rooms that are open to guests', () => {
  it.each([
    ['*', 'anything', true],
    ['lobby', 'lobby', true],
    ['lobby', 'lobby2', false],
    ['lobby', 'Lobby', false],
    ['open-*', 'open-', true],
    ['open-*', 'open-day', true],
    ['open-*', 'reopen-day', false],
    ['*-open', 'day-open', true],
    ['*-open', 'day-opened', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['lobby, open-*', 'open-day', true],
    [`${'a*'.repeat(31)}b`, 'a'.repeat(64), false],
  ])('[TN4] %s and %s: %s', (patterns, name, expected) => {
    expect(parseRoomPatterns(patterns)?.(roomName(name))).toBe(expected);
  });

  it('[TN4] what is no pattern is refused', () => {
    for (const bad of ['', 'a,,b', 'a b', '[a-z]', 'a/b', 'x'.repeat(65)])
      expect(parseRoomPatterns(bad)).toBeUndefined();
  });
});
