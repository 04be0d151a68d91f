import type { Clock } from '@plenary/cluster';
import { Budget, namesOf, ofEach } from './budget.ts';
import type { BudgetSettings } from './budget.ts';
import type { Resource } from './cost.ts';

/** A budget whose debt never exceeds its capacity, so that after an attack it recovers in the time that filling it takes (SPEC BU50). */
export class Pool<Name extends string = Resource> {
  readonly #settings: BudgetSettings<Name>;
  readonly #budget: Budget<Name>;
  /** Debts that were written off: amounts given back of them do not raise the level. */
  readonly #writtenOff: Record<Name, number>;

  constructor(settings: BudgetSettings<Name>, clock: Clock) {
    this.#settings = settings;
    this.#writtenOff = ofEach(namesOf(settings), () => 0);
    this.#budget = new Budget(settings, clock);
  }

  affords(resource: Name, amount: number): boolean {
    return this.#budget.affords(resource, amount);
  }

  /** Takes the amount even where it makes the level negative. A negative amount is given back. */
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
