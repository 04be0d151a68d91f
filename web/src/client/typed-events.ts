/** Events with a type for each name. A listener that throws does not keep the others from hearing. */
export class TypedEvents<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(payload: never) => void>>();

  /** Listens to one event; returns the function that ends this. */
  on<Name extends keyof Events>(name: Name, listener: (payload: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  emit<Name extends keyof Events>(name: Name, payload: Events[Name]): void {
    const listeners = this.#listeners.get(name) as Set<(payload: Events[Name]) => void> | undefined;
    for (const listener of [...(listeners ?? [])]) {
      try {
        listener(payload);
      } catch (thrown) {
        // The fault is the listener's own: it reaches window.onerror instead of breaking the client's work.
        queueMicrotask(() => {
          throw thrown;
        });
      }
    }
  }
}
