import {
  EMPTY,
  currentOf,
  isAwaited,
  newestOf,
  transition,
  type CloseReason,
  type ReplaceableEffect,
  type ReplaceableEvent,
  type ReplaceableState,
} from './transition.ts';

/** The effects that the user of a {@link Replaceable} carries out; each is called at once, in the table's order. */
export interface ReplaceableEffects<Item> {
  /** Opens an item; answer with `opened` or `failed` of this attempt. @param beside - the item that carries meanwhile, if any */
  readonly open: (attempt: number, beside: Item | undefined) => void;
  /** Watches the next item; answer with `carries` or `failed` of this attempt. */
  readonly watch: (attempt: number, next: Item, current: Item) => void;
  /** This item is the current one from now on. @param replaces - the previous current item, if any */
  readonly promote: (item: Item, replaces: Item | undefined) => void;
  readonly close: (item: Item, reason: CloseReason) => void;
  /** No item carries although one is wanted; a user that still wants one begins again. */
  readonly missing: () => void;
}

/** Holds the state of one place, and carries out the effects of the table. */
export class Replaceable<Item> {
  readonly #effects: ReplaceableEffects<Item>;
  #state: ReplaceableState<Item> = EMPTY;
  readonly #waiting: ReplaceableEvent<Item>[] = [];
  #isRunning = false;

  constructor(effects: ReplaceableEffects<Item>) {
    this.#effects = effects;
  }

  get state(): ReplaceableState<Item> {
    return this.#state;
  }

  /** The older of two open items, while it carries. */
  get current(): Item | undefined {
    return currentOf(this.#state);
  }

  /** The newest open item, whether it carries or not. */
  get newest(): Item | undefined {
    return newestOf(this.#state);
  }

  /** Whether the answer to this attempt would be used; if not, the user can stop opening. */
  awaits(attempt: number): boolean {
    return isAwaited(this.#state, attempt);
  }

  /** Handles an event. An event from within an effect waits until all effects of the current one are done. */
  dispatch(event: ReplaceableEvent<Item>): void {
    this.#waiting.push(event);
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        const { state, effects } = transition(this.#state, next);
        this.#state = state;
        for (const effect of effects) this.#run(effect);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  #run(effect: ReplaceableEffect<Item>): void {
    switch (effect.type) {
      case 'open':
        this.#effects.open(effect.attempt, effect.beside);
        break;
      case 'watch':
        this.#effects.watch(effect.attempt, effect.next, effect.current);
        break;
      case 'promote':
        this.#effects.promote(effect.item, effect.replaces);
        break;
      case 'close':
        this.#effects.close(effect.item, effect.reason);
        break;
      case 'missing':
        this.#effects.missing();
        break;
    }
  }
}
