/** Records whether an external service answers, and notifies listeners of changes. */
export class Availability {
  readonly #listeners = new Set<(available: boolean) => void>();
  #available = false;

  isAvailable(): boolean {
    return this.#available;
  }

  /** Calls back on each change. @returns a function that ends it */
  onChange(listener: (available: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @returns whether this is a change */
  set(available: boolean): boolean {
    if (this.#available === available) return false;
    this.#available = available;
    for (const listener of this.#listeners) listener(available);
    return true;
  }

  close(): void {
    this.#listeners.clear();
  }
}
