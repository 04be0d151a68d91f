import type { WireError } from '@plenary/cluster/errors';

/**
 * State of the client's connection to its edge. The media session has its own state, because it works on while no edge is connected.
 *
 * ```
 * idle → connecting → joining → joined ⇄ reconnecting
 *           ↑____________|         (each of them) → left | failed → connecting (a new join)
 * ```
 */
export type ConnectionState =
  | { readonly phase: 'idle' }
  | { readonly phase: 'connecting'; readonly attempt: number; readonly lastError?: WireError }
  | { readonly phase: 'joining'; readonly attempt: number; readonly lastError?: WireError }
  | { readonly phase: 'joined'; readonly edgeUrl: string }
  | { readonly phase: 'reconnecting'; readonly attempt: number; readonly reason: string }
  | { readonly phase: 'left' }
  | { readonly phase: 'failed'; readonly error: WireError };

export type ConnectionEvent =
  | { readonly type: 'join_requested' }
  | { readonly type: 'socket_opened' }
  | { readonly type: 'attempt_failed'; readonly error: WireError }
  | { readonly type: 'joined'; readonly edgeUrl: string }
  | { readonly type: 'handed_over'; readonly edgeUrl: string }
  | { readonly type: 'socket_lost'; readonly reason: string }
  | { readonly type: 'left' }
  | { readonly type: 'failed'; readonly error: WireError };

export type ConnectionPhase = ConnectionState['phase'];

/** Whether the meeting runs, connects or reconnects. */
export function isActive(state: ConnectionState): boolean {
  return state.phase !== 'idle' && state.phase !== 'left' && state.phase !== 'failed';
}

/**
 * The only place where the connection's state changes. An event that does not fit the state leaves it as it is:
 * late events of an abandoned socket must not disturb its successor.
 */
export function nextConnectionState(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  switch (event.type) {
    case 'join_requested':
      return isActive(state) ? state : { phase: 'connecting', attempt: 0 };
    case 'socket_opened':
      return state.phase === 'connecting' ? { ...state, phase: 'joining' } : state;
    case 'attempt_failed':
      if (state.phase === 'connecting' || state.phase === 'joining') {
        return { phase: 'connecting', attempt: state.attempt + 1, lastError: event.error };
      }
      return state.phase === 'reconnecting' ? { ...state, attempt: state.attempt + 1 } : state;
    case 'joined':
      return state.phase === 'joining' || state.phase === 'reconnecting'
        ? { phase: 'joined', edgeUrl: event.edgeUrl }
        : state;
    case 'handed_over':
      return state.phase === 'joined' ? { phase: 'joined', edgeUrl: event.edgeUrl } : state;
    case 'socket_lost':
      return state.phase === 'joined' ? { phase: 'reconnecting', attempt: 0, reason: event.reason } : state;
    case 'left':
      return state.phase === 'failed' ? state : { phase: 'left' };
    case 'failed':
      return isActive(state) ? { phase: 'failed', error: event.error } : state;
  }
}
