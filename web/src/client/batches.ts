import { MAX_SUBSCRIBE_BATCH } from '@plenary/cluster/protocol';

/** Splits items into batches that each fit into one request about consumers. */
export function batches<Item>(items: readonly Item[]): Item[][] {
  const result: Item[][] = [];
  for (let start = 0; start < items.length; start += MAX_SUBSCRIBE_BATCH) {
    result.push(items.slice(start, start + MAX_SUBSCRIBE_BATCH));
  }
  return result;
}
