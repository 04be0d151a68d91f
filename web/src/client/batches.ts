import { MAX_SUBSCRIBE_BATCH } from '@plenary/cluster/protocol';

/** Splits what is to be asked of consumers into as much as one request may hold. */
export function batches<Item>(items: readonly Item[]): Item[][] {
  const result: Item[][] = [];
  for (let start = 0; start < items.length; start += MAX_SUBSCRIBE_BATCH) {
    result.push(items.slice(start, start + MAX_SUBSCRIBE_BATCH));
  }
  return result;
}
