import { afterEach, expect, it, vi } from 'vitest';
import { ManualClock } from '../clock.ts';
import { leftOut, RareLines } from './rare-lines.ts';

it('[BU8] lines of one kind are ten seconds apart, and give the number of omitted ones', () => {
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

it('[BU8] a few lines of one kind may be written at once if each names something else', () => {
  const clock = new ManualClock();
  const lines = new RareLines(clock, 3);
  const said: number[] = [];
  const flood = (times: number): void => {
    for (let time = 0; time < times; time += 1) lines.say('unreachable', (unsaid) => said.push(unsaid));
  };
  flood(2);
  clock.advance(5_000);
  flood(100);
  clock.advance(5_000);
  flood(5);
  expect(said).toEqual([0, 0, 0, 99, 0, 0]);
});

afterEach(() => {
  vi.useRealTimers();
});

it('[BU8] omitted lines are reported at the end, and nothing after it', () => {
  vi.useFakeTimers();
  const lines = new RareLines(new ManualClock());
  const said: number[] = [];
  const flood = (times: number): void => {
    for (let time = 0; time < times; time += 1) lines.say('forbidden', (unsaid) => said.push(unsaid));
  };
  flood(500);
  lines.close();
  expect(said).toEqual([0, 498]);
  flood(500);
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(60_000);
  expect(said).toEqual([0, 498]);
});

it('[BU8] omitted lines are not reported before their time by the clock', () => {
  vi.useFakeTimers();
  const clock = new ManualClock();
  const lines = new RareLines(clock);
  const said: number[] = [];
  for (let time = 0; time < 3; time += 1) lines.say('forbidden', (unsaid) => said.push(unsaid));
  vi.advanceTimersByTime(10_000);
  expect(said).toEqual([0]);
  clock.advance(10_000);
  vi.advanceTimersByTime(10_000);
  expect(said).toEqual([0, 1]);
  lines.close();
});

it('[BU8] omitted lines and their names are reported if no other line comes', () => {
  vi.useFakeTimers();
  const clock = new ManualClock();
  const lines = new RareLines(clock, 5);
  const said: unknown[] = [];
  const names = Array.from({ length: 10 }, (_, index) => `node-${index}`);
  for (const name of names)
    lines.say('unreachable', (...unsaid) => said.push({ name, ...leftOut(...unsaid) }), name);
  expect(said).toHaveLength(5);
  clock.advance(10_000);
  vi.advanceTimersByTime(10_000);
  expect(said.slice(5)).toEqual([{ name: 'node-9', unsaid: 4, unsaidNames: names.slice(5) }]);
  clock.advance(10_000);
  vi.advanceTimersByTime(10_000);
  expect(said).toHaveLength(6);
});
