/**
 * Does work for each item of a list, a bounded number at a time, so that neither round trips to the store add up nor
 * all requests are sent at once. `p-limit` is not used: it bounds calls that each caller makes and collects, and over
 * a list the callers would write these lines again.
 * @param atOnce - the number of items at a time, at least 1
 * @param work - if it rejects, the whole ends after the work under way; work that must not do that catches its errors
 */
export async function sideBySide<Item>(
  items: Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  // All loops share one iterator: each takes the next item when its last one is done.
  const waiting = [...items].values();
  const lane = async (): Promise<void> => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}
