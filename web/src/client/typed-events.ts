/** An event emitter with a payload type for each name. If a listener throws, the other listeners still run. */
export class TypedEvents<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(payload: never) => void>>();

  /** Adds a listener for one event. Returns a function that removes it. */
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
        // A fault of the listener goes to window.onerror and does not interrupt the client.
        queueMicrotask(() => {
          throw thrown;
        });
      }
    }
  }
}
