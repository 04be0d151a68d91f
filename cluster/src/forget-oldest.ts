/** Keeps what was added to a collection last, `max` at most: of one that has become larger the oldest entries go. */
export function forgetOldest<Key>(collection: Set<Key> | Map<Key, unknown>, max: number): void {
  if (collection.size <= max) return;
  for (const key of collection.keys()) {
    collection.delete(key);
    if (collection.size <= max) return;
  }
}
