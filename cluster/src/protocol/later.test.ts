import { describe, expect, it } from 'vitest';
import { PlenaryError } from '../errors.ts';
import { EDGE_NOTICES } from './client-edge.ts';
import { WIRE_ERROR } from './define.ts';
import { HEARD_EVENT, LOGGED_EVENT } from './room.ts';

const logged = (event: unknown) => ({ id: '2-0', previousId: '1-0', event });

describe('what a newer edge says', () => {
  it('[PR5] an event of another type keeps its place in the order', () => {
    const raised = logged({ type: 'hand.raised', peerId: 'ann', since: 5 });
    expect(HEARD_EVENT.parse(raised)).toEqual(logged({ type: 'unknown', name: 'hand.raised' }));
    expect(LOGGED_EVENT.safeParse(raised).success).toBe(false);
    for (const nameless of [{}, { type: 7 }, { type: 'Not A Name' }, null]) {
      expect(HEARD_EVENT.safeParse(logged(nameless)).success).toBe(false);
    }
  });

  it('[PR16] a known event with another reason is still that event', () => {
    const left = { type: 'peer.left', peerId: 'ann', reason: 'fell_asleep' };
    expect(HEARD_EVENT.parse(logged(left)).event).toMatchObject({ type: 'peer.left', peerId: 'ann' });
    const ended = { type: 'track.ended', trackId: 't', peerId: 'ann', reason: 'moderated' };
    expect(HEARD_EVENT.parse(logged(ended)).event).toMatchObject({ type: 'track.ended', trackId: 't' });
    const lost = EDGE_NOTICES['media.lost'].payload.parse({ reason: 'node_upgraded', epoch: 1 });
    expect(lost.epoch).toBe(1);
    const known = { type: 'peer.left', peerId: 'ann', reason: 'kicked' };
    expect(HEARD_EVENT.parse(logged(known)).event).toEqual(known);
  });

  it('[PR17] an error of another code may be tried again if it says so, and only then', () => {
    for (const retryable of [true, false]) {
      const wire = WIRE_ERROR.parse({ code: 'too_many_hands', message: 'Later.', retryable });
      expect(PlenaryError.fromWire(wire)).toMatchObject({ code: 'internal', message: 'Later.', retryable });
    }
  });

  it('[PR12] fields that are not known are passed over', () => {
    const more = { ...logged({ type: 'peer.left', peerId: 'ann', reason: 'left', mood: 'fine' }), hint: 1 };
    expect(HEARD_EVENT.parse(more)).toEqual(logged({ type: 'peer.left', peerId: 'ann', reason: 'left' }));
  });
});
