import { describe, expect, it } from 'vitest';
import { PlenaryError } from '../errors.ts';
import { EDGE_NOTICES } from './client-edge.ts';
import { WIRE_ERROR } from './define.ts';
import { ENTRY_CHANGE, MAX_ENTRY_BYTES } from './room-entry.ts';
import { MAX_LATER_EVENT_BYTES } from './later.ts';
import { CARRIED_EVENT, HEARD_EVENT, LOGGED_EVENT } from './room.ts';

const logged = (event: unknown) => ({ id: '2-0', previousId: '1-0', event });
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('messages of a newer edge', () => {
  it('[PR5] an event of an unknown type keeps its position in the order', () => {
    const raised = logged({ type: 'hand.raised', peerId: 'ann', since: 5 });
    expect(HEARD_EVENT.parse(raised)).toEqual(logged({ type: 'unknown', name: 'hand.raised' }));
    expect(LOGGED_EVENT.safeParse(raised).success).toBe(false);
    for (const nameless of [{}, { type: 7 }, { type: 'Not A Name' }, null]) {
      expect(HEARD_EVENT.safeParse(logged(nameless)).success).toBe(false);
    }
  });

  it('[PR18] an event that this release does not know is forwarded unchanged', () => {
    const poll = logged({
      type: 'poll.opened',
      options: [{ text: 'yes' }, null],
      weights: { 'no one': 0.5 },
    });
    const carried = CARRIED_EVENT.parse(poll);
    expect(carried.event).toMatchObject({ type: 'unknown', name: 'poll.opened' });
    expect(asJson(carried)).toEqual(poll);
    expect(HEARD_EVENT.parse(asJson(carried)).event).toEqual({ type: 'unknown', name: 'poll.opened' });
  });

  it('[PR19] an event with a known type, without a name or without a bound is no later event', () => {
    for (const event of [
      { type: 'peer.joined', peer: { peerId: 'ann' } },
      { type: 'track.ended', trackId: 't', peerId: 'ann', reason: 'made_up' },
      { type: 'entries.changed', changes: [] },
      { type: 'Not A Name' },
      { type: 7 },
      { type: 'poll.opened', text: 'x'.repeat(MAX_LATER_EVENT_BYTES) },
      'poll.opened',
    ])
      expect(CARRIED_EVENT.safeParse(logged(event)).success, JSON.stringify(event).slice(0, 80)).toBe(false);
  });

  it('[RE8] an entry of an unknown kind keeps its value', () => {
    const change = {
      kind: 'poll',
      name: 'lunch',
      version: 7,
      value: { options: ['a', { b: null }], open: true },
    };
    const event = logged({
      type: 'entries.changed',
      changes: [change, { kind: 'poll', name: 'old', version: 8 }],
    });
    expect(asJson(CARRIED_EVENT.parse(event))).toEqual(event);
    const tooMuch = { ...change, value: { text: 'x'.repeat(MAX_ENTRY_BYTES) } };
    expect(ENTRY_CHANGE.safeParse(tooMuch).success).toBe(false);
    for (const kind of ['', 'Poll', 'a|b', 'x'.repeat(33)])
      expect(ENTRY_CHANGE.safeParse({ ...change, kind }).success, kind).toBe(false);
  });

  it('[PR16] a known event with an unknown reason is still that event', () => {
    const left = { type: 'peer.left', peerId: 'ann', reason: 'fell_asleep' };
    expect(HEARD_EVENT.parse(logged(left)).event).toMatchObject({ type: 'peer.left', peerId: 'ann' });
    const ended = { type: 'track.ended', trackId: 't', peerId: 'ann', reason: 'moderated' };
    expect(HEARD_EVENT.parse(logged(ended)).event).toMatchObject({ type: 'track.ended', trackId: 't' });
    const lost = EDGE_NOTICES['media.lost'].payload.parse({ reason: 'node_upgraded', epoch: 1 });
    expect(lost.epoch).toBe(1);
    const known = { type: 'peer.left', peerId: 'ann', reason: 'kicked' };
    expect(HEARD_EVENT.parse(logged(known)).event).toEqual(known);
  });

  it('[PR17] a request that failed with an unknown code may be retried only if the error says so', () => {
    for (const retryable of [true, false]) {
      const wire = WIRE_ERROR.parse({ code: 'too_many_hands', message: 'Later.', retryable });
      expect(PlenaryError.fromWire(wire)).toMatchObject({ code: 'internal', message: 'Later.', retryable });
    }
  });

  it('[PR12] unknown fields are ignored', () => {
    const more = { ...logged({ type: 'peer.left', peerId: 'ann', reason: 'left', mood: 'fine' }), hint: 1 };
    expect(HEARD_EVENT.parse(more)).toEqual(logged({ type: 'peer.left', peerId: 'ann', reason: 'left' }));
  });
});
