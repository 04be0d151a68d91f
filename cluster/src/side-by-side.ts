/**
 * Does work for each of many items, a bounded number of them at a time, so that neither the distance to the store adds up
 * nor everything is asked at once. By hand: `p-limit` bounds calls that each caller makes and collects by itself, and what our callers have is a
 * list; over it they would write these lines again.
 * @param atOnce - how many are under way at a time, at least 1
 * @param work - one that rejects ends the whole after what is under way; what must not do that catches by itself
 */
export async function sideBySide<Item>(
  items: Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  // One iterator that all share: each takes the next item when it is done with the last one.
  const waiting = [...items].values();
  const lane = async (): Promise<void> => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}
