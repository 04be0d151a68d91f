import { JOIN_INTERVAL_MS } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { RecentJoins } from './recent-joins.ts';

describe('RecentJoins', () => {
  it('[PL7] counts the joins within the interval', () => {
    const joins = new RecentJoins();
    joins.note(1_000);
    joins.note(2_000);
    expect(joins.count(2_000)).toBe(2);
    expect(joins.count(1_000 + JOIN_INTERVAL_MS)).toBe(1);
    expect(joins.count(2_000 + JOIN_INTERVAL_MS)).toBe(0);
  });
});
