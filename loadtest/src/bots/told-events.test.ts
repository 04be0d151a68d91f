import { EVENT_ID } from '@plenary/cluster/ids';
import { expect, it } from 'vitest';
import { ToldEvents } from './told-events.ts';

const id = (number: number) => EVENT_ID.parse(`1700000000000-${number}`);

it('accepts an event that arrives after a newer one', () => {
  const events = new ToldEvents();
  events.startAfter(id(1));
  expect([id(3), id(2)].map((eventId) => events.isNew(eventId))).toEqual([true, true]);
  expect(events.newest).toBe(id(3));
});

it('accepts no event twice, and none that the snapshot includes', () => {
  const events = new ToldEvents();
  events.startAfter(id(1));
  expect([id(1), id(2), id(2)].map((eventId) => events.isNew(eventId))).toEqual([false, true, false]);
});

it('remembers a bounded number of events', () => {
  const events = new ToldEvents();
  for (let number = 1; number <= 1_001; number += 1) events.isNew(id(number));
  expect([id(1), id(2), id(1_002)].map((eventId) => events.isNew(eventId))).toEqual([false, false, true]);
});
