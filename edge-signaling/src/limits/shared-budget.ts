/** A budget that many draw from, so that none of them can use up what is due to another (SPEC BU12, BU47). */
import type { Clock } from '@plenary/cluster';
import { Budget, namesOf } from './budget.ts';
import type { Amounts, BudgetSettings } from './budget.ts';
import type { Resource } from './cost.ts';
import { Pool } from './pool.ts';
import { RecencyMap } from './recency-map.ts';
import { draw, earn, newShare, ofAdvance, shareAfterRest, startOf } from './share.ts';
import type { Due, Share, Start } from './share.ts';

/** A drawer that draws nothing for this long rests, and no longer shares the income, in milliseconds. */
const IDLE_AFTER_MS = 10_000;
/** Resting drawers that are remembered with their debts; the one that has rested longest is forgotten first. */
const MAX_RESTING = 256;

/** The identity of a drawer of a budget: a name, or the object itself. */
export type Drawer = object | string;

/** One draw: the drawer and the cost. The start is due at once to a drawer that has drawn nothing lately. */
export interface Draft<Name extends string = Resource> extends Start<Name> {
  readonly drawer: Drawer;
  readonly cost: Amounts<Name>;
}

/**
 * All drawers draw from one pool while its level is positive. In addition, an equal part of the income is due to each drawer: one
 * that has drawn less than its due is served even from an empty pool, which then goes into debt. So heavy drawers are refused,
 * light ones are not, and unused income is available to all. Newcomers begin with an advance, which a separate bucket
 * bounds for all of them together, so that pauses and new names gain no more than that. The time of a charge does not depend on the
 * number of drawers.
 */
export class SharedBudget<Name extends string = Resource> {
  readonly #settings: BudgetSettings<Name>;
  readonly #names: readonly Name[];
  readonly #clock: Clock;
  readonly #pool: Pool<Name>;
  /** The bucket that pays advances; as large as the pool. */
  readonly #newcomers: Budget<Name>;
  /** Active drawers, ordered by their last draw. */
  readonly #shares = new RecencyMap<Drawer, Share<Name>>();
  /** Resting drawers, ordered by the beginning of their rest. */
  readonly #resting = new RecencyMap<Drawer, Share<Name>>();
  /** Seconds of undivided income that one drawer has received: one figure for all, so that no drawer needs to be visited. */
  #incomeSeconds = 0;
  #countedAtMs: number;

  constructor(settings: BudgetSettings<Name>, clock: Clock) {
    this.#settings = settings;
    this.#names = namesOf(settings);
    this.#clock = clock;
    this.#pool = new Pool(settings, clock);
    this.#newcomers = new Budget(settings, clock);
    this.#countedAtMs = clock.monotonicMs();
  }

  /** The first resource that is too low for the cost; `undefined` where the draft can be paid. */
  lacking(draft: Draft<Name>): Name | undefined {
    this.#count();
    const share = this.#shareOf(draft);
    return this.#names.find((resource) => {
      const amount = (draft.cost[resource] ?? 0) * draft.part;
      if (this.#pool.affords(resource, amount)) return false;
      const due = share.due[resource];
      // A cost above the maximum of a share is paid from a full share.
      if (due.earned + due.advance < Math.min(amount, this.#most(resource, draft))) return true;
      return !this.#affordsAdvance(resource, due, draft, amount);
    });
  }

  /** Serves drawers first that have drawn less of their advance: the others need a fuller bucket. */
  #affordsAdvance(resource: Name, due: Due, begin: Start<Name>, amount: number): boolean {
    const advanced = ofAdvance(due, amount);
    if (advanced === 0) return true;
    const drawnPart = 1 - due.advance / startOf(begin, resource);
    const reserve = (this.#settings[resource].capacity / 2) * drawnPart;
    return this.#newcomers.affords(resource, Math.max(advanced, reserve));
  }

  /** Takes the cost even where it makes levels negative. A negative cost is given back. */
  spend(draft: Draft<Name>): void {
    this.#count();
    const { drawer, cost, part } = draft;
    const share = this.#shareOf(draft);
    for (const resource of this.#names) {
      const amount = (cost[resource] ?? 0) * part;
      if (amount === 0) continue;
      const due = share.due[resource];
      if (!this.#pool.affords(resource, amount)) this.#newcomers.spend(resource, ofAdvance(due, amount));
      this.#pool.spend(resource, amount);
      draw(due, amount, this.#most(resource, draft));
    }
    share.drewAtMs = this.#countedAtMs;
    this.#resting.delete(drawer);
    this.#shares.set(drawer, share);
  }

  /** The number of drawers that share the income now. */
  get drawers(): number {
    return this.#shares.size;
  }

  /** The number of remembered resting drawers. */
  get resting(): number {
    return this.#resting.size;
  }

  /** Whether the budget can be forgotten without loss. */
  get isIdle(): boolean {
    this.#count();
    return this.#shares.size === 0 && this.#pool.isFull && this.#newcomers.isFull;
  }

  /** The current share of a drawer; only {@link spend} stores that of a newcomer or of a drawer that rested. */
  #shareOf(draft: Draft<Name>): Share<Name> {
    const { start, part } = draft;
    const begin = { start, part };
    const nowMs = this.#clock.monotonicMs();
    const share = this.#shares.get(draft.drawer);
    if (share !== undefined) {
      share.begin = begin;
      this.#addIncome(share);
      return share;
    }
    const rested = this.#resting.get(draft.drawer);
    if (rested === undefined) return newShare(this.#names, begin, this.#incomeSeconds, nowMs);
    const gain = (resource: Name): number => this.#gainOf(rested, resource);
    return shareAfterRest(this.#names, rested, begin, gain, this.#incomeSeconds, nowMs);
  }

  /** Adds the income up to now, and moves idle drawers to rest: it visits only drawers that become idle. */
  #count(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#incomeSeconds += (nowMs - this.#countedAtMs) / 1_000 / Math.max(1, this.#shares.size);
    this.#countedAtMs = nowMs;
    for (let next = this.#shares.oldest; next !== undefined; next = this.#shares.oldest) {
      const { key: drawer, value: share } = next;
      if (nowMs - share.drewAtMs < IDLE_AFTER_MS) break;
      this.#addIncome(share);
      this.#shares.delete(drawer);
      this.#rest(drawer, share);
    }
  }

  #rest(drawer: Drawer, share: Share<Name>): void {
    this.#resting.set(drawer, share);
    this.#resting.forgetOldest(MAX_RESTING);
  }

  #addIncome(share: Share<Name>): void {
    for (const resource of this.#names)
      earn(share.due[resource], this.#gainOf(share, resource), this.#most(resource, share.begin));
    share.countedTo = this.#incomeSeconds;
  }

  #gainOf({ countedTo }: Share<Name>, resource: Name): number {
    return (this.#incomeSeconds - countedTo) * this.#settings[resource].refillPerSecond;
  }

  /** The maximum that may be due to one drawer: its part of the capacity, and at least the cost of an entry. */
  #most(resource: Name, begin: Start<Name>): number {
    const { capacity } = this.#settings[resource];
    return Math.max(capacity / Math.max(1, this.#shares.size), startOf(begin, resource));
  }
}

/** The shared budgets of many owners; unused ones are forgotten. */
export class BudgetBook<Owner, Name extends string = Resource> {
  readonly #open: () => SharedBudget<Name>;
  readonly #budgets = new Map<Owner, SharedBudget<Name>>();

  constructor(open: () => SharedBudget<Name>) {
    this.#open = open;
  }

  of(owner: Owner): SharedBudget<Name> {
    const known = this.#budgets.get(owner);
    if (known !== undefined) return known;
    const budget = this.#open();
    this.#budgets.set(owner, budget);
    return budget;
  }

  forgetIdle(): void {
    for (const [owner, budget] of this.#budgets) {
      if (budget.isIdle) this.#budgets.delete(owner);
    }
  }

  get size(): number {
    return this.#budgets.size;
  }
}
