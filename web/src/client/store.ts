/** A value that changes and tells so. Fits React's `useSyncExternalStore`, and needs no React. */
export interface ReadableStore<Value> {
  /** The value now. The same object as long as nothing changed. */
  readonly getSnapshot: () => Value;
  /** Calls back after each change; returns the function that ends this. */
  readonly subscribe: (listener: () => void) => () => void;
}

/** The writing side of a {@link ReadableStore}. */
export class Store<Value> implements ReadableStore<Value> {
  readonly #when: 'now' | 'next-turn';
  #value: Value;
  #telling = false;
  readonly #listeners = new Set<() => void>();

  /**
   * @param when - `next-turn` tells the listeners once for all changes of one turn, after the work of this turn. A
   *   value that is edited through a text field needs `now`, or the field's cursor would jump.
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

  /** Puts a new value in place; tells nobody when it is the same one. */
  set(value: Value): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    if (this.#when === 'now') this.#tell();
    else if (!this.#telling) {
      this.#telling = true;
      setTimeout(() => {
        this.#telling = false;
        this.#tell();
      }, 0);
    }
  }

  update(change: (value: Value) => Value): void {
    this.set(change(this.#value));
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
