import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import type { ClientRequestName } from '@plenary/cluster/protocol';
import { describe, expect, it } from 'vitest';
import { phasesOf, nextSocketState } from './socket-state.ts';
import type { SocketEvent, SocketState } from './socket-state.ts';

const isRequestName = (name: string): name is ClientRequestName => Object.hasOwn(CLIENT_REQUESTS, name);
const requestNames = (): ClientRequestName[] => Object.keys(CLIENT_REQUESTS).filter(isRequestName);

type State = SocketState<string, string>;
type Event = SocketEvent<string, string>;

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
          return `${state.phase} + ${event.type} = ${nextSocketState(state, event).phase}`;
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

  it('[SE1] who has joined may ask for anything but to join, and who has not for nothing else; a closed connection asks nothing', () => {
    for (const name of requestNames()) {
      const isEntering = name === 'join' || name === 'resume';
      expect([name, phasesOf(name).includes('joined')]).toEqual([name, !isEntering]);
      expect([name, phasesOf(name).includes('connected')]).toEqual([name, isEntering]);
      expect(phasesOf(name)).not.toContain('closed');
    }
  });
});
