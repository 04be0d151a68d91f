import type { Clock } from '@plenary/cluster';
import { CARRIED_LEAST_SHARE } from './budget.ts';
import type { Budget } from './budget.ts';
import type { FramePurse } from './frame-budgets.ts';
import { RecencyMap } from './recency-map.ts';

/** A purse is full again after less than this: then nothing needs to be remembered of it. */
const REMEMBERED_MS = 20_000;
/** So many persons are remembered; those of whom nothing was noted longest are forgotten first. */
const MAX_PERSONS = 10_000;

interface Spendings {
  readonly budget: Budget;
  readonly frames: FramePurse;
}

/**
 * What was left in the purses of sessions that ended, or whose connection did: the next join of the same person finds no more than that in its own,
 * though enough to come in (SPEC BU66, BU67). Each guest token names somebody new, so that of guests the address is remembered; an
 * honest one who comes in by it after a greedy one has what somebody has who comes from another edge.
 */
export class LeftPurses {
  readonly #clock: Clock;
  readonly #newPurse: () => Spendings;
  readonly #left = new RecencyMap<string, { readonly purse: Spendings; readonly notedAtMs: number }>();

  constructor(clock: Clock, newPurse: () => Spendings) {
    this.#clock = clock;
    this.#newPurse = newPurse;
  }

  /** A session of somebody ended here, or its connection did. */
  note(person: string, purse: Spendings): void {
    this.#forget();
    if (purse.budget.isFull && purse.frames.isFull) return;
    // The session may go on with its own. Of several sessions that counts which left least.
    const noted = this.#newPurse();
    lower(noted, purse);
    const before = this.#left.get(person);
    if (before !== undefined) lower(noted, before.purse);
    this.#left.set(person, { purse: noted, notedAtMs: this.#clock.monotonicMs() });
    this.#left.forgetOldest(MAX_PERSONS);
  }

  /** Somebody begins a session. */
  lower(person: string, purse: Spendings): void {
    const left = this.#left.get(person);
    if (left !== undefined) lower(purse, left.purse, CARRIED_LEAST_SHARE);
  }

  /** Of how many persons anything is remembered. */
  get size(): number {
    return this.#left.size;
  }

  #forget(): void {
    const untilMs = this.#clock.monotonicMs() - REMEMBERED_MS;
    for (let next = this.#left.oldest; next !== undefined; next = this.#left.oldest) {
      if (next.value.notedAtMs > untilMs) return;
      this.#left.delete(next.key);
    }
  }
}

function lower(purse: Spendings, other: Spendings, leastShare = Number.NEGATIVE_INFINITY): void {
  purse.budget.lowerToThatOf(other.budget, leastShare);
  purse.frames.lowerToThatOf(other.frames, leastShare);
}
