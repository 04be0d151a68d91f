import { ManualClock } from '@plenary/cluster';
import { room, tenant } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { personOf, rememberedAs } from '../entry/person.ts';
import { BUDGETS, MIN_CARRIED_SHARE } from './budget.ts';
import { FRAME_BUDGETS } from './frame-budgets.ts';
import { EdgeBudgets, Meter } from './meter.ts';
import type { SessionBudget } from './meter.ts';

const { work: WORK } = BUDGETS.session;

function edgeOf() {
  const clock = new ManualClock();
  const log = { limited: () => undefined, cutOff: () => undefined };
  const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
  /** Begins a session. @returns its budget */
  const begin = (person: string): SessionBudget => {
    const budget = budgets.newSessionBudget();
    budgets.remaining.lower(person, budget);
    return budget;
  };
  return { clock, budgets, begin };
}

describe('what people left in their budgets', () => {
  it('[BU66] is what they find when they join anew, though enough to come in', () => {
    const { budgets, begin } = edgeOf();
    const first = begin('acme ann');
    first.resources.spendAll({ work: 90, store: 120 });
    first.frames.spendAll({ frames: 500 });
    budgets.remaining.note('acme ann', first);
    for (const again of [begin('acme ann'), begin('acme ann')]) {
      expect(again.resources.levels).toMatchObject({
        work: WORK.capacity - 90,
        store: BUDGETS.session.store.capacity * MIN_CARRIED_SHARE,
        bytes: BUDGETS.session.bytes.capacity,
      });
      expect(again.frames.levels.frames).toBe(FRAME_BUDGETS.session.frames.capacity - 500);
    }
    expect(begin('acme bob').resources.levels.work).toBe(WORK.capacity);
  });

  it('[BU66] counts once for several sessions: that which left least of each', () => {
    const { budgets, begin } = edgeOf();
    const [one, other] = [begin('acme ann'), begin('acme ann')];
    one.resources.spendAll({ work: 60 });
    other.resources.spendAll({ work: 30, store: 40 });
    budgets.remaining.note('acme ann', one);
    budgets.remaining.note('acme ann', other);
    const { store } = BUDGETS.session;
    expect(begin('acme ann').resources.levels).toMatchObject({
      work: WORK.capacity - 60,
      store: store.capacity - 40,
    });
    expect(other.resources.levels.work).toBe(WORK.capacity - 30);
  });

  it('[BU66] fills up meanwhile, is forgotten then, and is not kept of very many people', () => {
    const { clock, budgets, begin } = edgeOf();
    const emptied = begin('acme ann');
    emptied.resources.spendAll({ work: 150 });
    budgets.remaining.note('acme ann', emptied);
    clock.advance(2_000);
    expect(begin('acme ann').resources.levels.work).toBe(2 * WORK.refillPerSecond);
    clock.advance(60_000);
    for (let count = 0; count < 10_050; count += 1) {
      const budget = begin(`acme ${count}`);
      budget.resources.spendAll({ work: 1 });
      budgets.remaining.note(`acme ${count}`, budget);
    }
    expect(budgets.remaining.size).toBe(10_000);
  });

  it('[BU67] is remembered of a subject, and of guests, who have a new one each time, by address', () => {
    const [acme, sub] = [tenant('acme'), 'ann'];
    expect(rememberedAs({ tenant: acme, sub }, '192.0.2.1')).toBe(personOf({ tenant: acme, sub }));
    const guest = (address: string, name = 'guest-a') =>
      rememberedAs({ tenant: acme, sub: name, guest: true }, address);
    expect(guest('192.0.2.1')).toBe(guest('192.0.2.1', 'guest-b'));
    // An application may name its people as it likes.
    const named = { tenant: acme, sub: 'guest-of-honour' };
    expect(rememberedAs(named, '192.0.2.1')).toBe(personOf(named));
    expect(guest('192.0.2.1')).not.toBe(guest('192.0.2.2'));
    expect(guest('2001:db8:1:1::1')).toBe(guest('2001:db8:1:2::1'));
  });
});

describe('one person with ten joins', () => {
  const person = 'acme mallory';
  const charges = (meter: Meter, times: number, payers: Parameters<Meter['charge']>[1]): number =>
    Array.from({ length: times }, () => meter.charge({ work: 1 }, payers, 10)).filter(
      (verdict) => verdict === 'allowed',
    ).length;

  it('[BU18] spends with all of them, in whatever rooms, what one session may, and what coming in takes', () => {
    const { clock, budgets } = edgeOf();
    const meters = Array.from({ length: 10 }, (_, index) => new Meter(budgets, `192.0.2.${index}`));
    let allowed = 0;
    for (let second = 0; second < 60; second += 1) {
      for (const [index, meter] of meters.entries()) {
        const payers = { roomId: room(`room-${index % 2}`), tenantId: tenant('acme'), person };
        allowed += charges(meter, 60, payers);
      }
      clock.advance(1_000);
    }
    const { capacity, refillPerSecond } = BUDGETS.person.work;
    expect(allowed).toBeLessThan(2 * (capacity + 60 * refillPerSecond));
  });

  it('[BU18] is no trouble to another person in the room, nor to their own quiet one', () => {
    const { clock, budgets } = edgeOf();
    const payers = { roomId: room('standup'), tenantId: tenant('acme') };
    const meters = Array.from({ length: 10 }, (_, index) => new Meter(budgets, `192.0.2.${index}`));
    const [quiet, ...others] = meters;
    const ann = new Meter(budgets, '198.51.100.1');
    if (quiet !== undefined) charges(quiet, 20, { ...payers, person });
    for (let second = 0; second < 60; second += 1) {
      for (const meter of others) charges(meter, 60, { ...payers, person });
      expect(charges(ann, 2, { ...payers, person: 'acme ann' })).toBe(2);
      if (quiet !== undefined) expect(charges(quiet, 2, { ...payers, person })).toBe(2);
      clock.advance(1_000);
    }
  });

  it('[BU19] is told to slow down on every tab, and none of them is dropped for what the others do', () => {
    const { clock, budgets } = edgeOf();
    const payers = { roomId: room('standup'), tenantId: tenant('acme'), person };
    const meters = Array.from({ length: 10 }, (_, index) => new Meter(budgets, `192.0.2.${index}`));
    const verdicts = new Set<string>();
    for (let second = 0; second < 60; second += 1) {
      // Less than the session itself may spend: only together is it too much.
      for (const meter of meters)
        for (let count = 0; count < 40; count += 1) verdicts.add(meter.charge({ work: 1 }, payers, 10));
      clock.advance(1_000);
    }
    expect([...verdicts].sort()).toEqual(['allowed', 'rate_limited']);
  });

  it('[RL2] is dropped on the tab that goes on beyond what its own session may spend', () => {
    const { budgets } = edgeOf();
    const payers = { roomId: room('standup'), tenantId: tenant('acme'), person };
    const meter = new Meter(budgets, '192.0.2.1');
    const verdicts = Array.from({ length: 300 }, () => meter.charge({ work: 1 }, payers, 10));
    expect(verdicts.at(-1)).toBe('flooding');
  });
});
