import { PlenaryError } from '@plenary/cluster';
import type { ClientRequestName } from '@plenary/cluster/protocol';

/**
 * The state of one connection of a client. `Entered` is the session of a joined connection. `Entry` identifies a join under
 * way, so that its repeat is distinguished from another join.
 */
export type SocketState<Entered, Entry> =
  /** Open, in no room; also while a person is on the pre-join page. */
  | { readonly phase: 'connected' }
  /** A join or a resume is under way. */
  | { readonly phase: 'entering'; readonly entry: Entry }
  | { readonly phase: 'joined'; readonly session: Entered }
  /** The client has left; it may join again on the same connection. */
  | { readonly phase: 'left' }
  | { readonly phase: 'closed' };

export type Phase = SocketState<unknown, unknown>['phase'];

export type SocketEvent<Entered, Entry> =
  | { readonly type: 'entry_started'; readonly entry: Entry }
  | { readonly type: 'entry_failed' }
  | { readonly type: 'entered'; readonly session: Entered }
  | { readonly type: 'left' }
  | { readonly type: 'closed' };

type EventType = SocketEvent<unknown, unknown>['type'];

/** The whole table of transitions: any other event is refused (SPEC SE1). */
const NEXT: Readonly<Record<Phase, Partial<Record<EventType, Phase>>>> = {
  connected: { entry_started: 'entering', closed: 'closed' },
  entering: { entry_failed: 'connected', entered: 'joined', closed: 'closed' },
  joined: { left: 'left', closed: 'closed' },
  left: { entry_started: 'entering', closed: 'closed' },
  closed: { closed: 'closed' },
};

/** @throws PlenaryError `out_of_order` when the event does not fit the state */
export function nextSocketState<Entered, Entry>(
  state: SocketState<Entered, Entry>,
  event: SocketEvent<Entered, Entry>,
): SocketState<Entered, Entry> {
  if (NEXT[state.phase][event.type] === undefined) {
    throw new PlenaryError('out_of_order', `${event.type} does not fit ${state.phase}.`);
  }
  switch (event.type) {
    case 'entry_started':
      return { phase: 'entering', entry: event.entry };
    case 'entry_failed':
      return { phase: 'connected' };
    case 'entered':
      return { phase: 'joined', session: event.session };
    case 'left':
      return { phase: 'left' };
    case 'closed':
      return { phase: 'closed' };
  }
}

/** Requests that enter a room; they are allowed while `entering`, so that a repeated join finds the one under way. */
const ENTERING: ReadonlySet<ClientRequestName> = new Set<ClientRequestName>(['join', 'resume']);

/** The phases in which a request is allowed. */
export function phasesOf(name: ClientRequestName): readonly Phase[] {
  return ENTERING.has(name) ? ['connected', 'left', 'entering'] : ['joined'];
}
