/** A value that changes and tells so. Fits React's `useSyncExternalStore`, and needs no React. */
export interface ReadableStore<Value> {
  /** The value now. The same object as long as nothing changed. */
  readonly getSnapshot: () => Value;
  /** Calls back after each change; returns the function that ends this. */
  readonly subscribe: (listener: () => void) => () => void;
}

/** The writing side of a {@link ReadableStore}. */
export class Store<Value> implements ReadableStore<Value> {
  #value: Value;
  readonly #listeners = new Set<() => void>();

  constructor(initial: Value) {
    this.#value = initial;
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
    for (const listener of [...this.#listeners]) listener();
  }

  update(change: (value: Value) => Value): void {
    this.set(change(this.#value));
  }
}
