import { PlenaryError } from '@plenary/cluster';
import type { ClientRequestName } from '@plenary/cluster/protocol';

/**
 * Where one connection of a client stands. `Entered` is what a joined connection holds, `Entry` what identifies a join
 * under way, so that its repeat can be told from another one.
 */
export type SocketState<Entered, Entry> =
  /** Open, in no room: also while a person still looks at the pre-join page. */
  | { readonly phase: 'connected' }
  /** A join or a resume is under way. */
  | { readonly phase: 'entering'; readonly entry: Entry }
  | { readonly phase: 'joined'; readonly session: Entered }
  /** Has left; may join again on the same connection. */
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

/** The whole table of transitions: what is not in it does not happen (SPEC SE1). */
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

/** Those that make a connection one of a room; `entering` lets a repeated join find the one under way. */
const ENTERING: ReadonlySet<ClientRequestName> = new Set<ClientRequestName>(['join', 'resume']);

/** In which phases a request fits. */
export function phasesOf(name: ClientRequestName): readonly Phase[] {
  return ENTERING.has(name) ? ['connected', 'left', 'entering'] : ['joined'];
}
