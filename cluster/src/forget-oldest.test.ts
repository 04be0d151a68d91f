import { describe, expect, it } from 'vitest';
import { forgetOldest } from './forget-oldest.ts';

describe('forgetOldest', () => {
  it('takes the oldest entry out of a set or map that is larger than it may be, and none else', () => {
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

  it('takes out as many as were added beyond what it may hold', () => {
    const set = new Set(['a', 'b', 'c', 'd']);
    forgetOldest(set, 2);
    expect([...set]).toEqual(['c', 'd']);
  });
});
