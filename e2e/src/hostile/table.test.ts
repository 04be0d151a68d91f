import { describe, expect, it } from 'vitest';
import { ATTACKS, QUICK } from './table.ts';

describe('the attackers’ table', () => {
  it('has at least forty rows, with different names', () => {
    const names = ATTACKS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(40);
  });

  it('has the rows that `npm test` runs', () => {
    const names = new Set(ATTACKS.map(({ name }) => name));
    expect([...QUICK].filter((name) => !names.has(name))).toEqual([]);
  });
});
