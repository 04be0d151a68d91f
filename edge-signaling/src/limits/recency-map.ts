interface Entry<Key, Value> {
  readonly key: Key;
  value: Value;
  older: Entry<Key, Value> | undefined;
  newer: Entry<Key, Value> | undefined;
}

/**
 * A map that knows which of its entries was set longest ago. Each operation takes a few steps, whatever the number of entries. A
 * plain Map whose entries are deleted and set again is not enough: to find its first entry, it walks over all deleted ones
 * before it. `lru-cache` does not fit: it allocates its places in advance, and each budget has one such map, most with a few entries.
 */
export class RecencyMap<Key, Value> {
  readonly #entries = new Map<Key, Entry<Key, Value>>();
  #oldest: Entry<Key, Value> | undefined;
  #newest: Entry<Key, Value> | undefined;

  get size(): number {
    return this.#entries.size;
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  /** The entry that was set longest ago. */
  get oldest(): { readonly key: Key; readonly value: Value } | undefined {
    return this.#oldest;
  }

  /** Sets an entry and makes it the newest, even if it existed before. */
  set(key: Key, value: Value): void {
    const known = this.#entries.get(key);
    if (known !== undefined) this.#unlink(known);
    const entry = known ?? { key, value, older: undefined, newer: undefined };
    if (known === undefined) this.#entries.set(key, entry);
    entry.value = value;
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  /** Forgets the entry that was set longest ago if there are more than `max`. */
  forgetOldest(max: number): void {
    if (this.#oldest !== undefined && this.size > max) this.delete(this.#oldest.key);
  }

  delete(key: Key): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#unlink(entry);
  }

  #unlink(entry: Entry<Key, Value>): void {
    const { older, newer } = entry;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    entry.older = undefined;
    entry.newer = undefined;
  }
}
