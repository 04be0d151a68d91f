import { ManualClock } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { EntryGate } from './entry-gate.ts';
import type { QueueOwner } from './fair-queue.ts';

function gateOf(atOnce: number) {
  const clock = new ManualClock();
  const waiting: number[] = [];
  const gate = new EntryGate({ atOnce, patienceMs: 8_000, clock, onWaiting: (count) => waiting.push(count) });
  const begun: number[] = [];
  const ends = new Map<number, (fault?: Error) => void>();
  /** Work that ends when it is told to. */
  const enter = async (
    number: number,
    isWanted: () => boolean = () => true,
    owner: QueueOwner = { address: '192.0.2.1', peer: 'ann' },
  ): Promise<number> =>
    gate.pass(
      { owner, isWanted },
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
  it('[BU2] a store that does not answer, as one master of several, holds no places for long', async () => {
    const { gate, begun, enter, end } = gateOf(2);
    const answers: (() => void)[] = [];
    const entrant = { owner: { address: '192.0.2.9', peer: 'silent' }, isWanted: () => true };
    const stuck = Array.from({ length: 20 }, async () =>
      gate.pass(entrant, async (place) =>
        place.whileSlow(() => new Promise<void>((resolve) => answers.push(resolve))),
      ),
    );
    const honest = enter(1);
    await expect.poll(() => begun).toEqual([1]);
    end(1);
    expect(await honest).toBe(1);
    // Each of them has asked, and goes on when it is answered.
    await expect.poll(() => answers.length).toBe(20);
    for (const answer of answers) answer();
    await Promise.all(stuck);
    expect(gate.isIdle).toBe(true);
  });

  it('[HE2] what is answered soon holds its place meanwhile', async () => {
    const { gate, begun, enter, end } = gateOf(1);
    const entrant = { owner: { address: '192.0.2.9', peer: 'quick' }, isWanted: () => true };
    const begunWhenAnswered = gate.pass(entrant, async (place) => {
      await place.whileSlow(() => new Promise((resolve) => setImmediate(resolve)));
      return [...begun];
    });
    const next = enter(1);
    expect(await begunWhenAnswered).toEqual([]);
    await expect.poll(() => begun).toEqual([1]);
    end(1);
    await next;
    const failing = gate.pass(entrant, async (place) =>
      place.whileSlow(() => Promise.reject(new Error('gone'))),
    );
    await expect(failing).rejects.toThrow('gone');
    expect(gate.isIdle).toBe(true);
  });

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

  it('[BU1] serves addresses in turn: one honest entry waits for one of a crowd, not for all of them', async () => {
    const { begun, enter, end } = gateOf(1);
    const crowd = Array.from({ length: 200 }, async (_, index) => enter(index));
    const honest = enter(1_000, undefined, { address: '198.51.100.7', peer: 'bob' });
    end(0);
    await crowd[0];
    end(1);
    await crowd[1];
    end(1_000);
    expect(await honest).toBe(1_000);
    expect(begun.slice(0, 3)).toEqual([0, 1, 1_000]);
    for (let index = 2; index < 200; index += 1) {
      end(index);
      await crowd[index];
    }
  });

  it('[BU1] serves the peers of one address in turn', async () => {
    const { begun, enter, end } = gateOf(1);
    const all = [
      ...[1, 2, 3, 4].map(async (number) => enter(number)),
      enter(5, undefined, { address: '192.0.2.1', peer: 'bob' }),
    ];
    for (const [index, number] of [1, 2, 5, 3, 4].entries()) {
      end(number);
      await all[number - 1];
      expect(begun).toHaveLength(Math.min(5, index + 2));
    }
    expect(begun).toEqual([1, 2, 5, 3, 4]);
  });

  it('[BU2] who waits for something holds no place, and goes on before those that have not begun', async () => {
    const { gate, enter, begun, end } = gateOf(1);
    const entrant = { owner: { address: '192.0.2.9', peer: 'carol' }, isWanted: () => true };
    let isThere: () => void = () => undefined;
    const steps: string[] = [];
    const waiter = gate.pass(entrant, async (place) => {
      steps.push('began');
      await place.whileWaiting(() => new Promise<void>((resolve) => (isThere = resolve)));
      steps.push('went on');
    });
    const others = [enter(1), enter(2)];
    expect([steps, begun]).toEqual([['began'], [1]]);
    isThere();
    await Promise.resolve();
    await Promise.resolve();
    end(1);
    await others[0];
    await waiter;
    await expect.poll(() => begun).toEqual([1, 2]);
    expect(steps).toEqual(['began', 'went on']);
    end(2);
    await others[1];
  });

  it('[BU2] what is waited for and fails, or comes too late, frees what was taken', async () => {
    const { gate, clock, enter, begun, end } = gateOf(1);
    const entrant = { owner: { address: '192.0.2.9', peer: 'carol' }, isWanted: () => true };
    const failing = gate.pass(entrant, async (place) =>
      place.whileWaiting(() => Promise.reject(new Error('gone'))),
    );
    await expect(failing).rejects.toThrow('gone');
    const holder = enter(1);
    const late = gate.pass(entrant, async (place) => place.whileWaiting(() => Promise.resolve()));
    clock.advance(8_001);
    const next = enter(2);
    end(1);
    await holder;
    await expect(late).rejects.toMatchObject({ code: 'timed_out' });
    end(2);
    expect(await next).toBe(2);
    expect(begun).toEqual([1, 2]);
  });
});
