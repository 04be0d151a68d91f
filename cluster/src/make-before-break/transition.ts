/**
 * Make before break, as one table: a new item is opened beside the one that carries, which is closed only when the new
 * one carries. A consumer, a published track and the transports of a media session are all replaced this way, in browsers, in the
 * bots of the load tests and in the simulation.
 *
 * ```
 *          begin            opened           begin              opened               carries, lost
 *  empty ─────────► opening ──────► steady ─────────► replacing ──────► overlapping ──────────────► steady
 *    ▲                 │             │  ▲                │  │               │
 *    │◄────────────────┘ failed      │  └────────────────┘◄─┼───────────────┘ failed
 *    │◄──────────────────────────────┘ lost                 │ lost
 *    │◄───────────────────────────── recovering ◄───────────┘
 *         failed                         └── opened ──► steady
 * ```
 *
 * From everywhere, `closed` leads to `empty` and `given` to `steady`. The table knows no clock and no promise: its user opens,
 * watches and closes, says with which attempt each answer belongs, and decides after which pause it begins again.
 */

/** The state of one place. `attempt` numbers the openings: an answer to an older one is late. */
export type ReplaceableState<Item> =
  /** No item carries, and none is being opened. */
  | { readonly phase: 'empty'; readonly attempt: number }
  /** No item carries; the first one is being opened. */
  | { readonly phase: 'opening'; readonly attempt: number }
  | { readonly phase: 'steady'; readonly attempt: number; readonly current: Item }
  /** The current one carries while the next is being opened. */
  | { readonly phase: 'replacing'; readonly attempt: number; readonly current: Item }
  /** The current item ended while the next was being opened. Its remains, such as a last picture, stay until that is decided. */
  | { readonly phase: 'recovering'; readonly attempt: number; readonly lost: Item }
  /** Both items are open, and the next one does not carry yet. */
  | { readonly phase: 'overlapping'; readonly attempt: number; readonly current: Item; readonly next: Item };

export type ReplaceableEvent<Item> =
  /** Opens an item: a first one, or one that replaces the current one. Changes nothing while one is being opened. */
  | { readonly type: 'begin' }
  /** Like `begin`, but discards an item that is being opened, or is open and does not carry. */
  | { readonly type: 'restart' }
  | { readonly type: 'opened'; readonly attempt: number; readonly item: Item }
  /** The next item could not be opened, or ended before it carried. */
  | { readonly type: 'failed'; readonly attempt: number }
  | { readonly type: 'carries'; readonly attempt: number }
  /** An item that already carries arrived without a request. */
  | { readonly type: 'given'; readonly item: Item }
  /** The current item ended without being closed. */
  | { readonly type: 'lost' }
  /** No item is wanted here any more. */
  | { readonly type: 'closed' };

/**
 * `replaced`: another item carries. `lost`: the item had ended. `abandoned`: it never carried. `closed`: no item is
 * wanted any more.
 */
export type CloseReason = 'replaced' | 'lost' | 'abandoned' | 'closed';

export type ReplaceableEffect<Item> =
  /** The user answers with `opened` or `failed`. */
  | { readonly type: 'open'; readonly attempt: number; readonly beside: Item | undefined }
  /** The user answers with `carries`, as soon as the next item can replace the current one, or with `failed`. */
  | { readonly type: 'watch'; readonly attempt: number; readonly next: Item; readonly current: Item }
  /** This item is the current one from now on. */
  | { readonly type: 'promote'; readonly item: Item; readonly replaces: Item | undefined }
  | { readonly type: 'close'; readonly item: Item; readonly reason: CloseReason }
  /** No item carries although one is wanted. */
  | { readonly type: 'missing' };

export interface Transition<Item> {
  readonly state: ReplaceableState<Item>;
  readonly effects: readonly ReplaceableEffect<Item>[];
}

export const EMPTY = { phase: 'empty', attempt: 0 } as const satisfies ReplaceableState<never>;

/** The only place that decides on a replacement. An event that does not fit the state changes nothing, and leaves nothing open. */
export function transition<Item>(
  state: ReplaceableState<Item>,
  event: ReplaceableEvent<Item>,
): Transition<Item> {
  switch (event.type) {
    case 'begin':
      return state.phase === 'empty' || state.phase === 'steady' ? open(state) : unchanged(state);
    case 'restart':
      return open(state);
    case 'opened':
      return isAwaited(state, event.attempt) ? opened(state, event.item) : late(state, event.item);
    case 'failed':
      return state.attempt === event.attempt ? failed(state) : unchanged(state);
    case 'carries':
      return state.phase === 'overlapping' && state.attempt === event.attempt
        ? promote(state, state.next, [close(state.current, 'replaced')])
        : unchanged(state);
    case 'given':
      return promote(state, event.item, closeAll(state, 'replaced'));
    case 'lost':
      return lost(state);
    case 'closed':
      return { state: empty(state), effects: closeAll(state, 'closed') };
  }
}

/** Whether the answer to this attempt would be used. */
export function isAwaited<Item>(
  state: ReplaceableState<Item>,
  attempt: number,
): state is Extract<ReplaceableState<Item>, { readonly phase: 'opening' | 'replacing' | 'recovering' }> {
  if (state.attempt !== attempt) return false;
  return state.phase === 'opening' || state.phase === 'replacing' || state.phase === 'recovering';
}

/** The older of two open items, while it carries. */
export function currentOf<Item>(state: ReplaceableState<Item>): Item | undefined {
  return 'current' in state ? state.current : undefined;
}

/** The newest open item. */
export function newestOf<Item>(state: ReplaceableState<Item>): Item | undefined {
  return state.phase === 'overlapping' ? state.next : currentOf(state);
}

function open<Item>(state: ReplaceableState<Item>): Transition<Item> {
  const attempt = state.attempt + 1;
  switch (state.phase) {
    case 'empty':
    case 'opening':
      return {
        state: { phase: 'opening', attempt },
        effects: [{ type: 'open', attempt, beside: undefined }],
      };
    case 'steady':
    case 'replacing': {
      const { current } = state;
      return {
        state: { phase: 'replacing', attempt, current },
        effects: [{ type: 'open', attempt, beside: current }],
      };
    }
    case 'recovering':
      return { state: { ...state, attempt }, effects: [{ type: 'open', attempt, beside: undefined }] };
    case 'overlapping': {
      const { current, next } = state;
      return {
        state: { phase: 'replacing', attempt, current },
        effects: [close(next, 'abandoned'), { type: 'open', attempt, beside: current }],
      };
    }
  }
}

function opened<Item>(
  state: Extract<ReplaceableState<Item>, { readonly phase: 'opening' | 'replacing' | 'recovering' }>,
  item: Item,
): Transition<Item> {
  switch (state.phase) {
    case 'opening':
      return promote(state, item, []);
    case 'replacing': {
      const { attempt, current } = state;
      return {
        state: { phase: 'overlapping', attempt, current, next: item },
        effects: [{ type: 'watch', attempt, next: item, current }],
      };
    }
    case 'recovering':
      return promote(state, item, [close(state.lost, 'lost')]);
  }
}

function failed<Item>(state: ReplaceableState<Item>): Transition<Item> {
  switch (state.phase) {
    case 'empty':
    case 'steady':
      return unchanged(state);
    case 'opening':
      return { state: empty(state), effects: [{ type: 'missing' }] };
    case 'replacing':
      return { state: { ...state, phase: 'steady' }, effects: [] };
    case 'recovering':
      return { state: empty(state), effects: [close(state.lost, 'lost'), { type: 'missing' }] };
    case 'overlapping': {
      const { attempt, current, next } = state;
      return { state: { phase: 'steady', attempt, current }, effects: [close(next, 'abandoned')] };
    }
  }
}

function lost<Item>(state: ReplaceableState<Item>): Transition<Item> {
  switch (state.phase) {
    case 'empty':
    case 'opening':
    case 'recovering':
      return unchanged(state);
    case 'steady':
      return { state: empty(state), effects: [close(state.current, 'lost'), { type: 'missing' }] };
    case 'replacing':
      return {
        state: { phase: 'recovering', attempt: state.attempt, lost: state.current },
        effects: [],
      };
    case 'overlapping':
      // The next item is all that is left, so it needs no comparison.
      return promote(state, state.next, [close(state.current, 'lost')]);
  }
}

function promote<Item>(
  state: ReplaceableState<Item>,
  item: Item,
  closings: readonly ReplaceableEffect<Item>[],
): Transition<Item> {
  const replaces = state.phase === 'recovering' ? state.lost : currentOf(state);
  return {
    state: { phase: 'steady', attempt: state.attempt, current: item },
    effects: [{ type: 'promote', item, replaces }, ...closings],
  };
}

/** Closes an item whose opening nobody awaits any more. */
function late<Item>(state: ReplaceableState<Item>, item: Item): Transition<Item> {
  return { state, effects: [close(item, 'abandoned')] };
}

function closeAll<Item>(
  state: ReplaceableState<Item>,
  reason: 'replaced' | 'closed',
): ReplaceableEffect<Item>[] {
  switch (state.phase) {
    case 'empty':
    case 'opening':
      return [];
    case 'steady':
    case 'replacing':
      return [close(state.current, reason)];
    case 'recovering':
      return [close(state.lost, 'lost')];
    case 'overlapping':
      return [close(state.current, reason), close(state.next, 'abandoned')];
  }
}

function close<Item>(item: Item, reason: CloseReason): ReplaceableEffect<Item> {
  return { type: 'close', item, reason };
}

function empty<Item>({ attempt }: ReplaceableState<Item>): ReplaceableState<Item> {
  return { phase: 'empty', attempt };
}

function unchanged<Item>(state: ReplaceableState<Item>): Transition<Item> {
  return { state, effects: [] };
}
