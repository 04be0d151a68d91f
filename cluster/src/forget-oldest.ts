/** Keeps what was added to a collection last, `max` at most: of one that has become larger the oldest entry goes. */
export function forgetOldest<Key>(collection: Set<Key> | Map<Key, unknown>, max: number): void {
  const oldest = collection.keys().next();
  if (collection.size > max && oldest.done !== true) collection.delete(oldest.value);
}
