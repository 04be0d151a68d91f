import type { Clock } from '@plenary/cluster';
import { MIN_CARRIED_SHARE } from './budget.ts';
import type { Budget } from './budget.ts';
import type { FrameBudget } from './frame-budgets.ts';
import { RecencyMap } from './recency-map.ts';

/** How long a remaining budget is remembered, in milliseconds: it is full again before that. */
const REMEMBERED_MS = 20_000;
/** Persons that are remembered; the ones whose last note is oldest are forgotten first. */
const MAX_PERSONS = 10_000;

interface Spendings {
  readonly resources: Budget;
  readonly frames: FrameBudget;
}

/**
 * Remembers the remaining budgets of sessions that ended or lost their connection. The next join of the same person gets no
 * more than that, but enough to join (SPEC BU66, BU67). Each guest token names a new person, so guests are remembered by their
 * address: an honest guest who joins from there after a greedy one gets as much as a session that comes from another edge.
 */
export class RemainingBudgets {
  readonly #clock: Clock;
  readonly #newBudget: () => Spendings;
  readonly #remaining = new RecencyMap<string, { readonly budget: Spendings; readonly notedAtMs: number }>();

  constructor(clock: Clock, newBudget: () => Spendings) {
    this.#clock = clock;
    this.#newBudget = newBudget;
  }

  /** Notes the budget of a session that ended here or lost its connection. */
  note(person: string, budget: Spendings): void {
    this.#forget();
    if (budget.resources.isFull && budget.frames.isFull) return;
    // A copy, because the session may continue with its own. Of several sessions, the lowest level of each resource counts.
    const noted = this.#newBudget();
    lower(noted, budget);
    const before = this.#remaining.get(person);
    if (before !== undefined) lower(noted, before.budget);
    this.#remaining.set(person, { budget: noted, notedAtMs: this.#clock.monotonicMs() });
    this.#remaining.forgetOldest(MAX_PERSONS);
  }

  /** Lowers the budget of a new session to what the person had left. */
  lower(person: string, budget: Spendings): void {
    const left = this.#remaining.get(person);
    if (left !== undefined) lower(budget, left.budget, MIN_CARRIED_SHARE);
  }

  /** The number of remembered persons. */
  get size(): number {
    return this.#remaining.size;
  }

  #forget(): void {
    const untilMs = this.#clock.monotonicMs() - REMEMBERED_MS;
    for (let next = this.#remaining.oldest; next !== undefined; next = this.#remaining.oldest) {
      if (next.value.notedAtMs > untilMs) return;
      this.#remaining.delete(next.key);
    }
  }
}

function lower(budget: Spendings, other: Spendings, leastShare = Number.NEGATIVE_INFINITY): void {
  budget.resources.lowerToThatOf(other.resources, leastShare);
  budget.frames.lowerToThatOf(other.frames, leastShare);
}
