import { ManualClock } from '@plenary/cluster';
import { seededRandom } from '@plenary/cluster/testing/seeded-random';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Budget, BUDGETS } from './budget.ts';
import type { BudgetSettings } from './budget.ts';
import type { Cost } from './cost.ts';
import { BudgetBook, SharedBudget } from './shared-budget.ts';

const CAPACITY = 1_000;
const PER_SECOND = 100;
const START = 5;
const bucket = { capacity: CAPACITY, refillPerSecond: PER_SECOND };
const SETTINGS: BudgetSettings = {
  work: bucket,
  mediasoup: bucket,
  store: bucket,
  bytes: bucket,
  deliveries: bucket,
};

function sharedOf() {
  const clock = new ManualClock();
  const budget = new SharedBudget(SETTINGS, clock);
  /** Draws, if it may. @returns how much was drawn */
  const draw = (drawer: string, amount = 1): number => {
    const draft = { drawer, cost: { work: amount }, start: { work: START }, part: 1 };
    if (budget.lacking(draft) !== undefined) return 0;
    budget.spend(draft);
    return amount;
  };
  /** Draws until it is refused. */
  const drain = (drawer: string): number => {
    let drawn = 0;
    while (draw(drawer) > 0) drawn += 1;
    return drawn;
  };
  return { clock, budget, draw, drain };
}

const attackers = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `attacker ${index}`);

describe('a budget that many share', () => {
  it('[BU12] is all of one who is alone with it', () => {
    const { drain } = sharedOf();
    expect(drain('ann')).toBeGreaterThanOrEqual(CAPACITY);
  });

  it('[BU47] serves somebody who has drawn nothing when others have drawn all', () => {
    const { draw, drain } = sharedOf();
    for (const attacker of attackers(50)) drain(attacker);
    expect(Array.from({ length: START }, () => draw('ann'))).toEqual(Array(START).fill(1));
  });

  it.each([1, 2, 3, 4, 5])(
    '[BU47] never refuses who draws less than an equal part, whatever up to 200 others do (seed %i)',
    (seed) => {
      const random = seededRandom(seed);
      const { clock, draw, drain } = sharedOf();
      const crowd = attackers(1 + Math.floor(random() * 200));
      const honest = PER_SECOND / (crowd.length + 1);
      let refused = 0;
      let due = 0;
      for (let step = 0; step < 2_000; step += 1) {
        const seconds = random() / 5;
        clock.advance(seconds * 1_000);
        // They come and go, draw in any order, and some of them begin anew under another name.
        for (const attacker of crowd)
          if (random() < 0.7) drain(random() < 0.002 ? `${attacker} ${step}` : attacker);
        due += (seconds * honest * crowd.length) / (crowd.length + 40);
        while (due >= 1) {
          due -= 1;
          if (draw('ann') === 0) refused += 1;
        }
      }
      expect(refused).toBe(0);
    },
  );

  it('[BU12] gives no more than what comes in, and all of that to whoever wants it', () => {
    const { clock, drain } = sharedOf();
    const crowd = attackers(20);
    let drawn = 0;
    for (let second = 0; second < 100; second += 1) {
      for (const attacker of crowd) drawn += drain(attacker);
      clock.advance(1_000);
    }
    expect(drawn).toBeGreaterThanOrEqual(CAPACITY + 98 * PER_SECOND);
    expect(drawn).toBeLessThanOrEqual(2 * CAPACITY + 100 * PER_SECOND);
  });

  it.each([
    ['that pause for eleven seconds', (name: string) => name, 11_000],
    ['that take a new name each second', (name: string, round: number) => `${name} ${round}`, 1_000],
    ['that pause and take new names', (name: string, round: number) => `${name} ${round >> 1}`, 11_000],
  ])('[BU49] gives no more than three times what comes in to drawers %s', (_, nameOf, pauseMs) => {
    const { clock, budget, drain } = sharedOf();
    let drawn = 0;
    const rounds = 60;
    const crowd = attackers(1_000);
    for (let round = 0; round < rounds; round += 1) {
      for (const attacker of crowd) drawn += drain(nameOf(attacker, round));
      // Not all of them draw in the same moment: some find a pool in which something is left.
      clock.advance(pauseMs / 2);
      drawn += drain('heavy');
      clock.advance(pauseMs / 2);
    }
    const income = (rounds * pauseMs * PER_SECOND) / 1_000;
    expect(drawn).toBeLessThanOrEqual(3 * (CAPACITY + income));
    expect(budget.resting).toBeLessThanOrEqual(256);
  });

  it('[BU48] one that has just drawn its start gets no other one by a pause, while newcomers do', () => {
    const { clock, draw, drain } = sharedOf();
    const crowd = attackers(500);
    for (const attacker of crowd) drain(attacker);
    drain('mallory');
    let again = 0;
    for (let round = 0; round < 20; round += 1) {
      for (let second = 0; second < 11; second += 1) {
        clock.advance(1_000);
        for (const attacker of crowd) drain(attacker);
      }
      again += drain('mallory');
      expect(draw(`ann ${round}`)).toBe(1);
    }
    // Five hundred share a hundred a second.
    expect(again).toBeLessThanOrEqual(20 * 11 * 0.2 + START);
  });

  it('[BU50] is in use again a moment after an attack, however long that was', () => {
    const { clock, drain } = sharedOf();
    for (let second = 0; second < 600; second += 1) {
      for (const attacker of attackers(100)) drain(`${attacker} ${second}`);
      clock.advance(1_000);
    }
    clock.advance((2 * CAPACITY * 1_000) / PER_SECOND);
    expect(drain('ann')).toBeGreaterThanOrEqual(CAPACITY);
  });

  it('[BU51] what is given back of a debt that was written off is not drawn again', () => {
    const { clock, budget, drain } = sharedOf();
    for (let second = 0; second < 60; second += 1) {
      for (const attacker of attackers(100)) drain(`${attacker} ${second}`);
      clock.advance(1_000);
    }
    const forth = { drawer: 'mallory', cost: { work: 50 }, start: { work: START }, part: 1 };
    const back = { ...forth, cost: { work: -50 } };
    for (let count = 0; count < 200; count += 1) budget.spend(forth);
    for (let count = 0; count < 200; count += 1) budget.spend(back);
    expect(drain('mallory')).toBeLessThanOrEqual(START);
  });

  it('[BU47] one who has drawn more than an equal part waits for those who have not', () => {
    const { clock, draw, drain } = sharedOf();
    drain('mallory');
    for (let step = 0; step < 100; step += 1) {
      clock.advance(20);
      expect(draw('ann')).toBe(1);
      drain('mallory');
    }
  });

  it('[BU51] nobody gains by what is given back', () => {
    const { clock, budget, drain } = sharedOf();
    drain('mallory');
    drain('ann');
    const back = { drawer: 'mallory', cost: { work: -50 }, start: { work: START }, part: 1 };
    const forth = { ...back, cost: { work: 50 } };
    for (let count = 0; count < 20; count += 1) {
      budget.spend(forth);
      budget.spend(back);
    }
    expect(drain('mallory')).toBe(0);
    clock.advance(1_000);
    expect(drain('ann') + drain('mallory')).toBeLessThanOrEqual(2 * PER_SECOND);
  });

  it('[BU52] who draws no more is not counted any longer', () => {
    const { clock, budget, draw } = sharedOf();
    for (const attacker of attackers(1_000)) draw(attacker);
    expect(budget.drawers).toBe(1_000);
    clock.advance(11_000);
    draw('ann');
    expect(budget.drawers).toBe(1);
    expect(budget.resting).toBeLessThanOrEqual(256);
  });

  it('[BU34] is forgotten with its owner when nobody has drawn from it lately', () => {
    const clock = new ManualClock();
    const book = new BudgetBook<string>(() => new SharedBudget(BUDGETS.address, clock));
    const cost: Cost = { store: 40 };
    book.of('a').spend({ drawer: 'ann', cost, start: {}, part: 1 });
    book.of('b');
    book.forgetIdle();
    expect(book.size).toBe(1);
    clock.advance(60_000);
    book.forgetIdle();
    expect(book.size).toBe(0);
  });
});

describe('a budget of one’s own', () => {
  it('[BU5] pays all of a cost or is said to lack something', () => {
    const budget = new Budget(SETTINGS, new ManualClock());
    budget.spendAll({ work: CAPACITY, store: 1 });
    expect(budget.lacking({ work: 1 })).toBe('work');
    expect(budget.lacking({ store: 1 })).toBeUndefined();
  });
});

describe('what a charge costs to count', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /**
   * Lets so many draw, goes on with all of them, then with one while the others come to rest.
   * @returns how often anything kept of a drawer was read, for each charge, and how often a map was walked through
   */
  function workOf(drawers: number): { readonly readsPerCharge: number; readonly walks: number } {
    let reads = 0;
    const start = {
      get work(): number {
        reads += 1;
        return START;
      },
    };
    const clock = new ManualClock();
    const budget = new SharedBudget(SETTINGS, clock);
    const walks = [
      vi.spyOn(Map.prototype, Symbol.iterator),
      vi.spyOn(Map.prototype, 'keys'),
      vi.spyOn(Map.prototype, 'values'),
      vi.spyOn(Map.prototype, 'entries'),
      vi.spyOn(Map.prototype, 'forEach'),
    ];
    let charges = 0;
    const charge = (drawer: string): void => {
      const draft = { drawer, cost: { work: 1 }, start, part: 1 };
      if (budget.lacking(draft) === undefined) budget.spend(draft);
      charges += 1;
    };
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < drawers; index += 1) charge(`drawer ${index}`);
      clock.advance(1_000);
    }
    clock.advance(20_000);
    for (let count = 0; count < drawers; count += 1) charge('drawer 0');
    return {
      readsPerCharge: reads / charges,
      walks: walks.reduce((sum, { mock }) => sum + mock.calls.length, 0),
    };
  }

  it('[BU53] is the same for ten, a thousand and a hundred thousand who share', () => {
    const works = [10, 1_000, 100_000].map(workOf);
    expect(works.map(({ walks }) => walks)).toEqual([0, 0, 0]);
    const [ten = 0, ...others] = works.map(({ readsPerCharge }) => readsPerCharge);
    for (const work of others) expect(Math.abs(work - ten)).toBeLessThan(ten / 2);
  });
});
