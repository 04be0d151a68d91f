import { describe, expect, it } from 'vitest';
import { refusalOf } from './handshake-gate.ts';
import type { HandshakeFacts } from './handshake-gate.ts';

interface Row {
  readonly when: string;
  readonly facts?: Partial<HandshakeFacts>;
  readonly refusal: ReturnType<typeof refusalOf>;
  /** What was asked of gates that log or charge somebody, in order. */
  readonly asked: readonly string[];
}

const ROWS: readonly Row[] = [
  { when: 'nothing is against it', refusal: undefined, asked: ['origin', 'turn', 'address'] },
  { when: 'the edge stops', facts: { isStopping: true }, refusal: 'shutting_down', asked: [] },
  { when: 'the edge drains', facts: { isDraining: true }, refusal: 'shutting_down', asked: [] },
  {
    when: 'clients are better served elsewhere',
    facts: { elsewhere: 'no_control_link' },
    refusal: 'no_control_link',
    asked: [],
  },
  { when: 'the edge is full', facts: { openSockets: 10 }, refusal: 'full', asked: [] },
  {
    when: 'one place is left',
    facts: { openSockets: 9 },
    refusal: undefined,
    asked: ['origin', 'turn', 'address'],
  },
  {
    when: 'the page is of another site',
    facts: { isOriginAllowed: () => false },
    refusal: 'origin',
    asked: [],
  },
  { when: 'the edge is too slow', facts: { takeTurn: () => false }, refusal: 'busy', asked: ['origin'] },
  {
    when: 'the address opens too many',
    facts: { chargeAddress: () => 'too_fast' },
    refusal: 'too_fast',
    asked: ['origin', 'turn'],
  },
  {
    when: 'the edge drains and is full and the page is of another site',
    facts: { isDraining: true, openSockets: 10, isOriginAllowed: () => false },
    refusal: 'shutting_down',
    asked: [],
  },
];

describe('a handshake', () => {
  it.each(ROWS)('is answered $refusal when $when', ({ facts, refusal, asked }) => {
    const calls: string[] = [];
    const passing: HandshakeFacts = {
      isStopping: false,
      isDraining: false,
      elsewhere: undefined,
      openSockets: 0,
      maxSockets: 10,
      isOriginAllowed: () => calls.push('origin') > 0,
      takeTurn: () => calls.push('turn') > 0,
      chargeAddress: () => {
        calls.push('address');
        return 'allowed';
      },
    };
    expect(refusalOf({ ...passing, ...facts })).toBe(refusal);
    expect(calls).toEqual(asked);
  });
});
