/**
 * Removes the oldest entries of a collection that has more than `max`. For small collections of each room or peer.
 * Caches of a whole process use `LRUCache` of `lru-cache`, which allocates its places beforehand (112 KiB for 4,000).
 */
export function forgetOldest<Key>(collection: Set<Key> | Map<Key, unknown>, max: number): void {
  if (collection.size <= max) return;
  for (const key of collection.keys()) {
    collection.delete(key);
    if (collection.size <= max) return;
  }
}
