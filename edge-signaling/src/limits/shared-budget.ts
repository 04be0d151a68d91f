/** A budget that many draw from, so that none of them can use up what is due to another (SPEC BU12). */
import type { Clock } from '@plenary/cluster';
import { Budget } from './budget.ts';
import type { BudgetSettings } from './budget.ts';
import { RESOURCES } from './cost.ts';
import type { Cost, Resource } from './cost.ts';

/** Who has drawn nothing for so long does not count among those who share, and begins anew. */
const IDLE_AFTER_MS = 10_000;

/** Whoever draws from a budget: an object stands for itself. */
export type Drawer = object | string;

/** What is drawn, by whom. */
export interface Draft {
  readonly drawer: Drawer;
  readonly cost: Cost;
  /** What is due at once to somebody who has drawn nothing lately. */
  readonly start: Cost;
  /** What part of cost and start this budget bears. */
  readonly part: number;
}

interface Share {
  /** What is due and was not drawn; negative where more was drawn than is due. */
  readonly due: Record<Resource, number>;
  /** Up to where the income is in `due`. */
  countedTo: number;
  drewAtMs: number;
}

/**
 * Everybody draws from the same pool while there is something in it. Beside that, an equal part of all that comes in is due
 * to each who draws: whoever has drawn less than their due is served from an empty pool as well, which then owes it. So
 * heavy drawers are refused and light ones are not, what nobody uses is for everybody, and no more than what comes in is
 * drawn in the long run. A charge costs the same however many share.
 */
export class SharedBudget {
  readonly #settings: BudgetSettings;
  readonly #clock: Clock;
  readonly #pool: Budget;
  /** Who drew last stands last. */
  readonly #shares = new Map<Drawer, Share>();
  /** For how many seconds one drawer's part of the income has come in: the same for all, so that nobody is visited for it. */
  #incomeSeconds = 0;
  #countedAtMs: number;

  constructor(settings: BudgetSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#pool = new Budget(settings, clock);
    this.#countedAtMs = clock.monotonicMs();
  }

  /** What there is too little of for the cost; nothing where it can be paid. */
  lacking(draft: Draft): Resource | undefined {
    this.#count();
    const share = this.#shares.get(draft.drawer);
    if (share !== undefined) this.#addIncome(share, draft);
    return RESOURCES.find((resource) => {
      const amount = (draft.cost[resource] ?? 0) * draft.part;
      if (this.#pool.affords(resource, amount)) return false;
      const due = share === undefined ? startOf(draft, resource) : share.due[resource];
      // What costs more than a share ever holds is paid from a full one.
      return due < Math.min(amount, this.#most(resource, draft));
    });
  }

  /** Takes the cost in any case: what is not there is owed. A negative one gives back. */
  spend(draft: Draft): void {
    this.#count();
    const { drawer, cost, part } = draft;
    const share = this.#shares.get(drawer) ?? this.#begin(draft);
    this.#addIncome(share, draft);
    for (const resource of RESOURCES) {
      const amount = (cost[resource] ?? 0) * part;
      if (amount === 0) continue;
      this.#pool.spend(resource, amount);
      const most = this.#most(resource, draft);
      const due = share.due[resource];
      // What is given back was drawn from the pool where it was more than due, and never becomes due by that.
      const highest = amount < 0 && due < 0 ? 0 : most;
      share.due[resource] = Math.max(-most, Math.min(highest, due - amount));
    }
    share.drewAtMs = this.#clock.monotonicMs();
    this.#shares.delete(drawer);
    this.#shares.set(drawer, share);
  }

  /** How many share the income at present. */
  get drawers(): number {
    return this.#shares.size;
  }

  /** Whether nothing is lost if it is forgotten. */
  get isIdle(): boolean {
    this.#count();
    return this.#shares.size === 0 && this.#pool.isFull;
  }

  #begin(draft: Draft): Share {
    const due = (resource: Resource): number => startOf(draft, resource);
    return {
      due: {
        work: due('work'),
        mediasoup: due('mediasoup'),
        store: due('store'),
        bytes: due('bytes'),
        deliveries: due('deliveries'),
      },
      countedTo: this.#incomeSeconds,
      drewAtMs: this.#clock.monotonicMs(),
    };
  }

  /** Brings the income up to now, and lets go of who draws no more. */
  #count(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#incomeSeconds += (nowMs - this.#countedAtMs) / 1_000 / Math.max(1, this.#shares.size);
    this.#countedAtMs = nowMs;
    for (const [drawer, { drewAtMs }] of this.#shares) {
      if (nowMs - drewAtMs < IDLE_AFTER_MS) break;
      this.#shares.delete(drawer);
    }
  }

  #addIncome(share: Share, draft: Draft): void {
    const seconds = this.#incomeSeconds - share.countedTo;
    share.countedTo = this.#incomeSeconds;
    for (const resource of RESOURCES) {
      const { refillPerSecond } = this.#settings[resource];
      share.due[resource] = Math.min(
        this.#most(resource, draft),
        share.due[resource] + seconds * refillPerSecond,
      );
    }
  }

  /** What may be due to one drawer: a part of what the pool holds, and what coming in takes. */
  #most(resource: Resource, draft: Draft): number {
    const { capacity } = this.#settings[resource];
    return Math.max(capacity / Math.max(1, this.#shares.size), startOf(draft, resource));
  }
}

const startOf = ({ start, part }: Draft, resource: Resource): number => (start[resource] ?? 0) * part;

/** The shared budgets of many owners; one that nobody draws from any more is forgotten. */
export class BudgetBook<Owner> {
  readonly #open: () => SharedBudget;
  readonly #budgets = new Map<Owner, SharedBudget>();

  constructor(open: () => SharedBudget) {
    this.#open = open;
  }

  of(owner: Owner): SharedBudget {
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
