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

/** What the user of a {@link Replaceable} does; each is called at once, in the table's order. */
export interface ReplaceableEffects<Item> {
  /** To be answered with `opened` or `failed` of this attempt. @param beside - the one that carries meanwhile, if any */
  readonly open: (attempt: number, beside: Item | undefined) => void;
  /** To be answered with `carries`, or `failed`, of this attempt. */
  readonly watch: (attempt: number, next: Item, current: Item) => void;
  /** This one is the current one from now on. @param replaces - the one that was it, if any */
  readonly promote: (item: Item, replaces: Item | undefined) => void;
  readonly close: (item: Item, reason: CloseReason) => void;
  /** Nothing carries although something is wanted; who wants it still begins again. */
  readonly missing: () => void;
}

/** Holds the state of one place and carries out what the table says. */
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

  /** The one that was there first, while it carries. */
  get current(): Item | undefined {
    return currentOf(this.#state);
  }

  /** The newest one that is open, whether it carries or not. */
  get newest(): Item | undefined {
    return newestOf(this.#state);
  }

  /** Whether an opening of this number would be taken; else whoever opens can stop. */
  awaits(attempt: number): boolean {
    return isAwaited(this.#state, attempt);
  }

  /** An event that comes out of an effect waits until all effects of the one before are done. */
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
