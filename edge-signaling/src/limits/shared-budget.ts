/** A budget that many draw from, so that none of them can use up what is due to another (SPEC BU12, BU47). */
import type { Clock } from '@plenary/cluster';
import { Budget, namesOf } from './budget.ts';
import type { Amounts, BudgetSettings } from './budget.ts';
import type { Resource } from './cost.ts';
import { Pool } from './pool.ts';
import { RecencyMap } from './recency-map.ts';
import { draw, earn, newShare, ofAdvance, shareAfterRest, startOf } from './share.ts';
import type { Due, Share, Start } from './share.ts';

/** Drawers that have drawn nothing for so long rest: they do not count among those who share the income. */
const IDLE_AFTER_MS = 10_000;
/** So many resting drawers are remembered with their debts; the one that has rested longest is forgotten first. */
const MAX_RESTING = 256;

/** Whoever draws from a budget: an object stands for itself. */
export type Drawer = object | string;

/** What is drawn, by whom. The start is due at once to somebody who has drawn nothing lately. */
export interface Draft<Name extends string = Resource> extends Start<Name> {
  readonly drawer: Drawer;
  readonly cost: Amounts<Name>;
}

/**
 * Everybody draws from the same pool while there is something in it. Beside that, an equal part of all that comes in is due
 * to each who draws: whoever has drawn less than their due is served from an empty pool as well, which then owes it. So
 * heavy drawers are refused and light ones are not, and what nobody uses is for everybody. Newcomers begin with an advance,
 * which a bucket of its own bounds for all of them together: pauses and new names bring no more than that. A charge costs the
 * same however many share.
 */
export class SharedBudget<Name extends string = Resource> {
  readonly #settings: BudgetSettings<Name>;
  readonly #names: readonly Name[];
  readonly #clock: Clock;
  readonly #pool: Pool<Name>;
  /** What advances are paid from: as much as the pool has. */
  readonly #newcomers: Budget<Name>;
  /** By when they drew last. */
  readonly #shares = new RecencyMap<Drawer, Share<Name>>();
  /** By when they began to rest. */
  readonly #resting = new RecencyMap<Drawer, Share<Name>>();
  /** For how many seconds one drawer's part of the income has come in: the same for all, so that nobody is visited for it. */
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

  /** What there is too little of for the cost; nothing where it can be paid. */
  lacking(draft: Draft<Name>): Name | undefined {
    this.#count();
    const share = this.#shareOf(draft);
    return this.#names.find((resource) => {
      const amount = (draft.cost[resource] ?? 0) * draft.part;
      if (this.#pool.affords(resource, amount)) return false;
      const due = share.due[resource];
      // What costs more than a share ever holds is paid from a full one.
      if (due.earned + due.advance < Math.min(amount, this.#most(resource, draft))) return true;
      return !this.#affordsAdvance(resource, due, draft, amount);
    });
  }

  /** Those that have drawn less of their advance are served first: the others need a fuller bucket. */
  #affordsAdvance(resource: Name, due: Due, begin: Start<Name>, amount: number): boolean {
    const advanced = ofAdvance(due, amount);
    if (advanced === 0) return true;
    const drawnPart = 1 - due.advance / startOf(begin, resource);
    const reserve = (this.#settings[resource].capacity / 2) * drawnPart;
    return this.#newcomers.affords(resource, Math.max(advanced, reserve));
  }

  /** Takes the cost in any case: what is not there is owed. A negative one gives back. */
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

  /** How many share the income at present. */
  get drawers(): number {
    return this.#shares.size;
  }

  /** How many rest and are remembered. */
  get resting(): number {
    return this.#resting.size;
  }

  /** Whether nothing is lost if it is forgotten. */
  get isIdle(): boolean {
    this.#count();
    return this.#shares.size === 0 && this.#pool.isFull && this.#newcomers.isFull;
  }

  /** The share of a drawer as it is now; only {@link spend} keeps that of a newcomer or of one that rested. */
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

  /** Brings the income up to now, and lets those rest who draw no more: each visit is of one that had drawn before. */
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

  /** What may be due to one drawer: a part of what the pool holds, and what coming in takes. */
  #most(resource: Name, begin: Start<Name>): number {
    const { capacity } = this.#settings[resource];
    return Math.max(capacity / Math.max(1, this.#shares.size), startOf(begin, resource));
  }
}

/** The shared budgets of many owners; one that nobody draws from any more is forgotten. */
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
