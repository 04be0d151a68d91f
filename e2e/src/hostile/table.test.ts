import { describe, expect, it } from 'vitest';
import { ATTACKS, QUICK } from './table.ts';

describe('the attackers’ table', () => {
  it('has at least forty rows, which can be told apart', () => {
    const names = ATTACKS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(40);
  });

  it('has the rows that are run by `npm test`', () => {
    const names = new Set(ATTACKS.map(({ name }) => name));
    expect([...QUICK].filter((name) => !names.has(name))).toEqual([]);
  });
});
