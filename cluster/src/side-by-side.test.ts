import { describe, expect, it } from 'vitest';
import { sideBySide } from './side-by-side.ts';

describe('sideBySide', () => {
  it('does the work of each item once, a bounded number at a time', async () => {
    let underWay = 0;
    let most = 0;
    const done: number[] = [];
    await sideBySide(
      Array.from({ length: 100 }, (_, index) => index),
      7,
      async (item) => {
        underWay += 1;
        most = Math.max(most, underWay);
        await Promise.resolve();
        underWay -= 1;
        done.push(item);
      },
    );
    expect(most).toBe(7);
    expect(done).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  it('does nothing for an empty list, and rejects if the work fails', async () => {
    await sideBySide([], 4, () => Promise.reject(new Error('never')));
    await expect(sideBySide([1], 4, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });
});
