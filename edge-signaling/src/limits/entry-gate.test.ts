import { ManualClock } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { EntryGate } from './entry-gate.ts';

function gateOf(atOnce: number) {
  const clock = new ManualClock();
  const waiting: number[] = [];
  const gate = new EntryGate({ atOnce, patienceMs: 8_000, clock, onWaiting: (count) => waiting.push(count) });
  const begun: number[] = [];
  const ends = new Map<number, (fault?: Error) => void>();
  /** Work that ends when it is told to. */
  const enter = async (number: number, isWanted: () => boolean = () => true): Promise<number> =>
    gate.pass(
      isWanted,
      () =>
        new Promise((resolve, reject) => {
          begun.push(number);
          ends.set(number, (fault) => (fault === undefined ? resolve(number) : reject(fault)));
        }),
    );
  return {
    gate,
    clock,
    waiting,
    begun,
    enter,
    end: (number: number, fault?: Error) => ends.get(number)?.(fault),
  };
}

describe('EntryGate', () => {
  it('[HE2] lets so many in at a time, in order of arrival', async () => {
    const { begun, enter, end, waiting } = gateOf(2);
    const all = [1, 2, 3, 4].map(async (number) => enter(number));
    expect(begun).toEqual([1, 2]);
    expect(waiting.at(-1)).toBe(2);
    end(2);
    await all[1];
    expect(begun).toEqual([1, 2, 3]);
    for (const number of [1, 3]) {
      end(number);
      await all[number - 1];
    }
    expect(begun).toEqual([1, 2, 3, 4]);
    end(4);
    expect(await all[3]).toBe(4);
    expect(waiting.at(-1)).toBe(0);
  });

  it('[HE2] one that fails makes place for the next', async () => {
    const { begun, enter, end } = gateOf(1);
    const [first, second] = [enter(1), enter(2)];
    end(1, new Error('spoiled'));
    await expect(first).rejects.toThrow('spoiled');
    expect(begun).toEqual([1, 2]);
    end(2);
    expect(await second).toBe(2);
  });

  it('[HE2] does nothing for who is gone, or has waited until the client gives up', async () => {
    const { clock, begun, enter, end } = gateOf(1);
    const first = enter(1);
    const gone = enter(2, () => false);
    const late = enter(3);
    clock.advance(8_001);
    const fresh = enter(4);
    end(1);
    await first;
    await expect(gone).rejects.toMatchObject({ code: 'timed_out' });
    await expect(late).rejects.toMatchObject({ code: 'timed_out' });
    end(4);
    expect(await fresh).toBe(4);
    expect(begun).toEqual([1, 4]);
  });

  it('[HE7] tells for how long the next one has waited', async () => {
    const { clock, enter, end, gate } = gateOf(1);
    const all = [enter(1)];
    clock.advance(500);
    expect(gate.waitedMs).toBe(0);
    all.push(enter(2));
    clock.advance(700);
    all.push(enter(3));
    expect(gate.waitedMs).toBe(700);
    end(1);
    await all[0];
    expect(gate.waitedMs).toBe(0);
    for (const number of [2, 3]) {
      end(number);
      await all[number - 1];
    }
  });

  it('[HE2] keeps its order over thousands', async () => {
    const { begun, enter, end } = gateOf(1);
    const numbers = Array.from({ length: 3_000 }, (_, index) => index);
    const all = numbers.map(async (number) => enter(number));
    for (const number of numbers) {
      end(number);
      await all[number];
    }
    expect(begun).toEqual(numbers);
  });
});
