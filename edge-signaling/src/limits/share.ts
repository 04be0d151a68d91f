/** The part of a shared budget that is due to one drawer. */
import { ofEach } from './budget.ts';
import type { Amounts } from './budget.ts';
import type { Resource } from './cost.ts';

/** The amount that is due at once to a newcomer, and the part of it that this budget pays. */
export interface Start<Name extends string = Resource> {
  readonly start: Amounts<Name>;
  readonly part: number;
}

export interface Due {
  /** Income that was not drawn; negative where the drawer drew more than its income. */
  earned: number;
  /** The amount that is due to a newcomer in addition, paid from the budget that all newcomers share. */
  advance: number;
}

export interface Share<Name extends string = Resource> {
  readonly due: Readonly<Record<Name, Due>>;
  /** The `incomeSeconds` up to which `due` contains the income. */
  countedTo: number;
  drewAtMs: number;
  /** The start at the last draw. */
  begin: Start<Name>;
}

export const startOf = <Name extends string>({ start, part }: Start<Name>, resource: Name): number =>
  (start[resource] ?? 0) * part;

/** The share of a drawer that has drawn nothing yet. */
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
 * The share of a drawer that returns after a rest. It keeps its earnings, and its debts up to one start; the income since then
 * counts as an advance of up to one start.
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
    // Income pays a debt first.
    return kept < 0 && all < 0
      ? { earned: all, advance: 0 }
      : { earned: Math.max(0, kept), advance: Math.max(0, Math.min(start, all) - Math.max(0, kept)) };
  });
  return { due, begin, countedTo, drewAtMs };
}

/** Adds income; it replaces an advance where both together exceed what a share may hold. */
export function earn(due: Due, gain: number, most: number): void {
  due.earned = Math.min(most, due.earned + gain);
  due.advance = Math.max(0, Math.min(due.advance, most - due.earned));
}

/** The part of an amount that the advance has to pay. */
export const ofAdvance = ({ earned, advance }: Due, amount: number): number =>
  Math.max(0, Math.min(advance, amount - Math.max(0, earned)));

/** Takes an amount; a negative amount is given back. */
export function draw(due: Due, amount: number, most: number): void {
  const advanced = ofAdvance(due, amount);
  due.advance -= advanced;
  // An amount beyond the due was drawn from the pool; giving it back does not make it due.
  const highest = amount < 0 && due.earned < 0 ? 0 : most - due.advance;
  const lowest = -Math.max(most, amount);
  due.earned = Math.max(lowest, Math.min(highest, due.earned - (amount - advanced)));
}
