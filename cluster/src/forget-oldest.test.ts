import { describe, expect, it } from 'vitest';
import { forgetOldest } from './forget-oldest.ts';

describe('forgetOldest', () => {
  it('removes only the oldest entry of a set or map that is too large', () => {
    const set = new Set(['a', 'b']);
    forgetOldest(set, 2);
    expect([...set]).toEqual(['a', 'b']);
    set.add('c');
    forgetOldest(set, 2);
    expect([...set]).toEqual(['b', 'c']);
    const map = new Map([
      ['a', 1],
      ['b', 2],
    ]);
    forgetOldest(map, 1);
    expect([...map]).toEqual([['b', 2]]);
  });

  it('removes as many entries as there are too many', () => {
    const set = new Set(['a', 'b', 'c', 'd']);
    forgetOldest(set, 2);
    expect([...set]).toEqual(['c', 'd']);
  });
});
