import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import { describe, expect, it } from 'vitest';
import { PHASES_OF_REQUEST, transition } from './session-state.ts';
import type { ConnectionEvent, ConnectionState } from './session-state.ts';

type State = ConnectionState<string, string>;
type Event = ConnectionEvent<string, string>;

const states: State[] = [
  { phase: 'connected' },
  { phase: 'entering', entry: 'e' },
  { phase: 'joined', session: 's' },
  { phase: 'left' },
  { phase: 'closed' },
];
const events: Event[] = [
  { type: 'entry_started', entry: 'e' },
  { type: 'entry_failed' },
  { type: 'entered', session: 's' },
  { type: 'left' },
  { type: 'closed' },
];

describe('transition', () => {
  it('[SE1] knows exactly these transitions', () => {
    const table = states.flatMap((state) =>
      events.map((event) => {
        try {
          return `${state.phase} + ${event.type} = ${transition(state, event).phase}`;
        } catch (fault) {
          expect(fault).toMatchObject({ code: 'out_of_order' });
          return undefined;
        }
      }),
    );
    expect(table.filter((row) => row !== undefined)).toEqual([
      'connected + entry_started = entering',
      'connected + closed = closed',
      'entering + entry_failed = connected',
      'entering + entered = joined',
      'entering + closed = closed',
      'joined + left = left',
      'joined + closed = closed',
      'left + entry_started = entering',
      'left + closed = closed',
      'closed + closed = closed',
    ]);
  });

  it('[SE1] every request has its phases, and none fits a closed connection', () => {
    expect(Object.keys(PHASES_OF_REQUEST).sort()).toEqual(Object.keys(CLIENT_REQUESTS).sort());
    expect(Object.values(PHASES_OF_REQUEST).flat()).not.toContain('closed');
  });
});
