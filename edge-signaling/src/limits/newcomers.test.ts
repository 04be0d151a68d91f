/** What an empty shared budget gives to newcomers, and how much three sessions of one person have. */
import { ManualClock } from '@plenary/cluster';
import { room, tenant } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { BUDGETS } from './budget.ts';
import { EdgeBudgets, Meter } from './meter.ts';
import { SharedBudget } from './shared-budget.ts';

const CAPACITY = 1_000;
const PER_SECOND = 100;
const ADVANCE = 5;

/** A budget whose pool one heavy sharer has emptied. */
function emptiedBudget() {
  const clock = new ManualClock();
  const budget = new SharedBudget({ work: { capacity: CAPACITY, refillPerSecond: PER_SECOND } }, clock);
  const draw = (drawer: string, amount = 1): boolean => {
    const draft = { drawer, cost: { work: amount }, start: { work: ADVANCE }, part: 1 };
    if (budget.lacking(draft) !== undefined) return false;
    budget.spend(draft);
    return true;
  };
  while (draw('heavy'));
  /** One draw by each of many new names. @returns how many of them were served */
  const drawAsNewcomers = (count: number): number =>
    Array.from({ length: count }, (_, index) => draw(`newcomer ${index}`)).filter(Boolean).length;
  return { clock, draw, drawAsNewcomers };
}

describe('the advances of newcomers to an empty budget', () => {
  it('[BU79] come from a bucket that holds as much as the budget', () => {
    const { drawAsNewcomers } = emptiedBudget();
    expect(drawAsNewcomers(3 * CAPACITY)).toBe(CAPACITY);
  });

  it('[BU80] go first to newcomers that have drawn less of theirs', () => {
    const { draw, drawAsNewcomers } = emptiedBudget();
    draw('ann', ADVANCE - 1);
    drawAsNewcomers(0.7 * CAPACITY);
    expect(draw('ann')).toBe(false);
    expect(draw('bob')).toBe(true);
  });

  it('[BU81] that have all been drawn delay other newcomers, and no sharer that has earned its part', () => {
    const { clock, draw, drawAsNewcomers } = emptiedBudget();
    draw('ann', ADVANCE);
    expect(draw('ann')).toBe(false);
    clock.advance(1_000);
    drawAsNewcomers(3 * CAPACITY);
    expect(draw('one more newcomer')).toBe(false);
    expect(draw('ann')).toBe(true);
  });
});

describe('three sessions of one person', () => {
  it('[BU78] each spend a whole session budget at once', () => {
    const log = { limited: () => undefined, cutOff: () => undefined };
    const budgets = new EdgeBudgets({ clock: new ManualClock(), socketsPerAddress: 2_000, log });
    const payers = { roomId: room('standup'), tenantId: tenant('acme'), person: 'acme ann' };
    const { work, store } = BUDGETS.session;
    const cost = { work: work.capacity, store: store.capacity };
    const verdicts = [1, 2, 3].map((host) =>
      new Meter(budgets, `192.0.2.${host}`).charge(cost, payers, 1_000),
    );
    expect(verdicts).toEqual(['allowed', 'allowed', 'allowed']);
  });
});
