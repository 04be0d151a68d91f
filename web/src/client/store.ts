/** A value with change notifications. Fits React's `useSyncExternalStore`, and needs no React. */
export interface ReadableStore<Value> {
  /** Returns the current value: the same object as long as nothing changed. */
  readonly getSnapshot: () => Value;
  /** Calls the listener after each change. Returns a function that removes the listener. */
  readonly subscribe: (listener: () => void) => () => void;
}

/** The writing side of a {@link ReadableStore}. */
export class Store<Value> implements ReadableStore<Value> {
  readonly #when: 'now' | 'next-turn';
  #value: Value;
  #isScheduled = false;
  readonly #listeners = new Set<() => void>();

  /**
   * @param when - `next-turn` notifies the listeners once for all changes of one turn, after the work of that turn. A value
   *   that is edited through a text field needs `now`, or the field's cursor would jump.
   */
  constructor(initial: Value, when: 'now' | 'next-turn' = 'now') {
    this.#value = initial;
    this.#when = when;
  }

  readonly getSnapshot = (): Value => this.#value;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Sets a new value. Notifies no listener when the value is the same. */
  set(value: Value): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    if (this.#when === 'now') this.#notify();
    else if (!this.#isScheduled) {
      this.#isScheduled = true;
      setTimeout(() => {
        this.#isScheduled = false;
        this.#notify();
      }, 0);
    }
  }

  update(change: (value: Value) => Value): void {
    this.set(change(this.#value));
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
