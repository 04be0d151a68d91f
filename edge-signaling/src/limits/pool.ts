import type { Clock } from '@plenary/cluster';
import { Budget, namesOf, ofEach } from './budget.ts';
import type { BudgetSettings } from './budget.ts';
import type { Resource } from './cost.ts';

/** A budget that owes no more than it holds: after an attack it is in use again as soon as a full one is filled (SPEC BU50). */
export class Pool<Name extends string = Resource> {
  readonly #settings: BudgetSettings<Name>;
  readonly #budget: Budget<Name>;
  /** Debts that were written off: what is given back of them is not there to be drawn again. */
  readonly #writtenOff: Record<Name, number>;

  constructor(settings: BudgetSettings<Name>, clock: Clock) {
    this.#settings = settings;
    this.#writtenOff = ofEach(namesOf(settings), () => 0);
    this.#budget = new Budget(settings, clock);
  }

  affords(resource: Name, amount: number): boolean {
    return this.#budget.affords(resource, amount);
  }

  /** Takes the amount in any case. A negative one is given back. */
  spend(resource: Name, amount: number): void {
    if (this.#budget.levelOf(resource) >= 0) this.#writtenOff[resource] = 0;
    const ofWrittenOff = Math.min(this.#writtenOff[resource], Math.max(0, -amount));
    this.#writtenOff[resource] -= ofWrittenOff;
    this.#budget.spend(resource, amount + ofWrittenOff);
    const beyond = -this.#settings[resource].capacity - this.#budget.levelOf(resource);
    if (beyond <= 0) return;
    this.#budget.spend(resource, -beyond);
    this.#writtenOff[resource] += beyond;
  }

  get isFull(): boolean {
    return this.#budget.isFull;
  }
}
