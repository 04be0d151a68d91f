/**
 * Keeps what was added to a collection last, `max` at most: of one that has become larger the oldest entries go. For what each room or peer
 * has of its own: an `LRUCache` of `lru-cache`, which caches of a whole process are, sets its places aside beforehand (112 KiB for 4,000).
 */
export function forgetOldest<Key>(collection: Set<Key> | Map<Key, unknown>, max: number): void {
  if (collection.size <= max) return;
  for (const key of collection.keys()) {
    collection.delete(key);
    if (collection.size <= max) return;
  }
}
