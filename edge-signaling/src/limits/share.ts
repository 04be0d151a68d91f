/** What is due to one of those who draw from a shared budget. */
import { ofEach } from './budget.ts';
import type { Amounts } from './budget.ts';
import type { Resource } from './cost.ts';

/** What is due at once to somebody who comes in, and what part of it the budget bears. */
export interface Start<Name extends string = Resource> {
  readonly start: Amounts<Name>;
  readonly part: number;
}

export interface Due {
  /** What came in and was not drawn; negative where more was drawn than came in. */
  earned: number;
  /** What is due beside that to a newcomer, and is paid from what newcomers have in all. */
  advance: number;
}

export interface Share<Name extends string = Resource> {
  readonly due: Readonly<Record<Name, Due>>;
  /** Up to where the income is in `due`. */
  countedTo: number;
  drewAtMs: number;
  /** As it was when the drawer drew last. */
  begin: Start<Name>;
}

export const startOf = <Name extends string>({ start, part }: Start<Name>, resource: Name): number =>
  (start[resource] ?? 0) * part;

/** The share of somebody who has drawn nothing yet. */
export function newShare<Name extends string>(
  names: readonly Name[],
  begin: Start<Name>,
  countedTo: number,
  drewAtMs: number,
): Share<Name> {
  const due = ofEach(names, (name): Due => ({ earned: 0, advance: startOf(begin, name) }));
  return { due, begin, countedTo, drewAtMs };
}

/**
 * The share of somebody who comes back after having drawn nothing for a while: what was earned until then is there, of debts
 * those that a start covers, and what came in since then counts as an advance up to a start.
 */
export function shareAfterRest<Name extends string>(
  names: readonly Name[],
  before: Share<Name>,
  begin: Start<Name>,
  gain: (resource: Name) => number,
  countedTo: number,
  drewAtMs: number,
): Share<Name> {
  const due = ofEach(names, (resource): Due => {
    const { earned, advance } = before.due[resource];
    const start = startOf(begin, resource);
    const kept = Math.max(-start, earned);
    const all = kept + advance + gain(resource);
    // What came in pays a debt first.
    return kept < 0 && all < 0
      ? { earned: all, advance: 0 }
      : { earned: Math.max(0, kept), advance: Math.max(0, Math.min(start, all) - Math.max(0, kept)) };
  });
  return { due, begin, countedTo, drewAtMs };
}

/** Adds income; what came in takes the place of an advance where both are more than a share may hold. */
export function earn(due: Due, gain: number, most: number): void {
  due.earned = Math.min(most, due.earned + gain);
  due.advance = Math.max(0, Math.min(due.advance, most - due.earned));
}

/** How much of an amount an advance has to pay. */
export const ofAdvance = ({ earned, advance }: Due, amount: number): number =>
  Math.max(0, Math.min(advance, amount - Math.max(0, earned)));

/** Takes an amount; a negative one is given back. */
export function draw(due: Due, amount: number, most: number): void {
  const advanced = ofAdvance(due, amount);
  due.advance -= advanced;
  // What is given back was drawn from the pool where it was more than due, and never becomes due by that.
  const highest = amount < 0 && due.earned < 0 ? 0 : most - due.advance;
  const lowest = -Math.max(most, amount);
  due.earned = Math.max(lowest, Math.min(highest, due.earned - (amount - advanced)));
}
