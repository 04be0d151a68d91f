import { describe, expect, it } from 'vitest';
import { SharedReads } from './shared-reads.ts';

function counted() {
  const begun: ((value: number | Error) => void)[] = [];
  const reads = new SharedReads<number>();
  const read = async (key = 'room'): Promise<number> =>
    reads.read(
      key,
      () =>
        new Promise((resolve, reject) => {
          begun.push((value) => (typeof value === 'number' ? resolve(value) : reject(value)));
        }),
    );
  const end = async (index: number, value: number | Error): Promise<void> => {
    await expect.poll(() => begun.length).toBeGreaterThan(index);
    begun[index]?.(value);
  };
  return { begun, read, end };
}

describe('SharedReads', () => {
  it('[BU3] a crowd that requests the same data shares one read', async () => {
    const { begun, read, end } = counted();
    const all = Array.from({ length: 500 }, async () => read());
    await end(0, 7);
    expect(new Set(await Promise.all(all))).toEqual(new Set([7]));
    expect(begun).toHaveLength(1);
  });

  it('[BU27] requests during a read share the next one, which begins when the first has ended', async () => {
    const { begun, read, end } = counted();
    const first = read();
    await expect.poll(() => begun.length).toBe(1);
    const later = [read(), read()];
    await end(0, 1);
    expect(await first).toBe(1);
    await end(1, 2);
    expect(await Promise.all(later)).toEqual([2, 2]);
    expect(begun).toHaveLength(2);
  });

  it('[BU28] a failed read fails the requests that share it, and no others', async () => {
    const { read, end } = counted();
    const failing = [read(), read()];
    const other = read('other');
    await end(0, new Error('away'));
    await end(1, 3);
    for (const one of failing) await expect(one).rejects.toThrow('away');
    expect(await other).toBe(3);
    const again = read();
    await end(2, 4);
    expect(await again).toBe(4);
  });
});
