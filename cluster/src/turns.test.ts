import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

describe('Turns', () => {
  it('[SE25] joins of one peer run one after the other, each after the clean-up of a failed one before it', async () => {
    const turns = new Turns<string>();
    const order: string[] = [];
    const [failing, undoing] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const first = turns.run('ann', async (afterwards) => {
      order.push('first');
      afterwards(undoing.promise.then(() => void order.push('undone')));
      await failing.promise;
    });
    const second = turns.run('ann', () => Promise.resolve(order.push('second')));
    const other = turns.run('bob', () => Promise.resolve(order.push('other')));
    await other;
    failing.reject(new Error('the join failed'));
    await expect(first).rejects.toThrow('the join failed');
    expect(order).toEqual(['first', 'other']);
    undoing.resolve();
    await second;
    expect(order).toEqual(['first', 'other', 'undone', 'second']);
    await new Promise((resolve) => setImmediate(resolve));
    expect(turns.size).toBe(0);
  });
});
