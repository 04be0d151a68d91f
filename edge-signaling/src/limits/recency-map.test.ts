import { describe, expect, it } from 'vitest';
import { RecencyMap } from './recency-map.ts';

function mapOf(keys: readonly string[]): RecencyMap<string, number> {
  const map = new RecencyMap<string, number>();
  for (const [index, key] of keys.entries()) map.set(key, index);
  return map;
}

/** Takes out all entries, the oldest first. */
function drained(map: RecencyMap<string, number>): string[] {
  const keys: string[] = [];
  for (let next = map.oldest; next !== undefined; next = map.oldest) {
    keys.push(next.key);
    map.delete(next.key);
  }
  return keys;
}

describe('RecencyMap', () => {
  it('keeps its entries in the order in which they were set', () => {
    expect(drained(mapOf(['a', 'b', 'c']))).toEqual(['a', 'b', 'c']);
  });

  it.each([
    ['a', ['b', 'c', 'a']],
    ['b', ['a', 'c', 'b']],
    ['c', ['a', 'b', 'c']],
  ])('takes %s for the newest when it is set again', (key, order) => {
    const map = mapOf(['a', 'b', 'c']);
    map.set(key, 7);
    expect([map.size, map.get(key)]).toEqual([3, 7]);
    expect(drained(map)).toEqual(order);
  });

  it.each([
    ['a', ['b', 'c']],
    ['b', ['a', 'c']],
    ['c', ['a', 'b']],
    ['nobody', ['a', 'b', 'c']],
  ])('goes on without %s when that is deleted', (key, order) => {
    const map = mapOf(['a', 'b', 'c']);
    map.delete(key);
    map.set('d', 0);
    expect(drained(map)).toEqual([...order, 'd']);
    expect([map.size, map.oldest]).toEqual([0, undefined]);
  });
});
