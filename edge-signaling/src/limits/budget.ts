/** Budgets: the figures of each scope, and the buckets of one owner. */
import { TokenBucket } from '@plenary/cluster';
import type { BucketSettings, Clock } from '@plenary/cluster';
import { RESOURCES } from './cost.ts';
import type { Resource } from './cost.ts';

export const SCOPES = ['session', 'person', 'room', 'tenant', 'address'] as const;
export type Scope = (typeof SCOPES)[number];

export type BudgetSettings<Name extends string = Resource> = Readonly<Record<Name, BucketSettings>>;
export type Amounts<Name extends string = Resource> = Readonly<Partial<Record<Name, number>>>;

const KIB = 1_024;
const MIB = 1_048_576;

/** One session, on whichever edge its connection is. */
const SESSION: BudgetSettings = {
  work: { capacity: 150, refillPerSecond: 50 },
  mediasoup: { capacity: 1_500, refillPerSecond: 100 },
  store: { capacity: 120, refillPerSecond: 20 },
  bytes: { capacity: 32 * MIB, refillPerSecond: 2 * MIB },
  deliveries: { capacity: 30_000, refillPerSecond: 3_000 },
};
/** All sessions of one person on one edge, in all rooms: the income of one session, and the capacity for three joins at once. */
const PERSON: BudgetSettings = {
  work: { capacity: 450, refillPerSecond: 50 },
  mediasoup: { capacity: 4_500, refillPerSecond: 100 },
  store: { capacity: 360, refillPerSecond: 20 },
  bytes: { capacity: 96 * MIB, refillPerSecond: 2 * MIB },
  deliveries: { capacity: 90_000, refillPerSecond: 3_000 },
};
/** A room on one edge, for each of its people: a large room has more, so that a join storm fits. */
const ROOM: BudgetSettings = {
  work: { capacity: 150, refillPerSecond: 15 },
  mediasoup: { capacity: 1_500, refillPerSecond: 50 },
  store: { capacity: 60, refillPerSecond: 6 },
  bytes: { capacity: 4 * MIB, refillPerSecond: 256 * KIB },
  deliveries: { capacity: 5_000, refillPerSecond: 300 },
};
/** A tenant on one edge, with all of its rooms: about as much as one edge can do. */
const TENANT: BudgetSettings = {
  work: { capacity: 600_000, refillPerSecond: 20_000 },
  mediasoup: { capacity: 3_000_000, refillPerSecond: 100_000 },
  store: { capacity: 200_000, refillPerSecond: 10_000 },
  bytes: { capacity: 16_384 * MIB, refillPerSecond: 512 * MIB },
  deliveries: { capacity: 15_000_000, refillPerSecond: 300_000 },
};
/** An address on one edge, for each socket that it may have (`PLENARY_SOCKETS_PER_ADDRESS`). */
const ADDRESS: BudgetSettings = {
  work: { capacity: 120, refillPerSecond: 5 },
  mediasoup: { capacity: 600, refillPerSecond: 10 },
  store: { capacity: 40, refillPerSecond: 2 },
  bytes: { capacity: 4 * MIB, refillPerSecond: 64 * KIB },
  deliveries: { capacity: 5_000, refillPerSecond: 100 },
};

export const BUDGETS: Readonly<Record<Scope, BudgetSettings>> = {
  session: SESSION,
  person: PERSON,
  room: ROOM,
  tenant: TENANT,
  address: ADDRESS,
};

/** A room with fewer people than this has the budget of this many. */
export const SMALL_ROOM = 20;
/**
 * The largest share of its capacity that the budget of a session from another edge begins with: more than a resume costs, and too
 * little to make changing edges worthwhile.
 */
export const MAX_CARRIED_SHARE = 0.4;
/** The smallest such share, however recent the previous resume was: the cost of a resume and of a new media session. */
export const MIN_CARRIED_SHARE = 0.3;

export type Levels = Readonly<Record<Resource, number>>;

/** Whether another edge would give the session more than these levels. */
export const isBelowCarried = (levels: Levels): boolean =>
  RESOURCES.some((resource) => levels[resource] < SESSION[resource].capacity * MAX_CARRIED_SHARE);

/** One value for each of some names. */
export function ofEach<Name extends string, Value>(
  names: readonly Name[],
  valueOf: (name: Name) => Value,
): Record<Name, Value> {
  return Object.fromEntries(names.map((name) => [name, valueOf(name)])) as Record<Name, Value>;
}

export const namesOf = <Name extends string>(record: Readonly<Record<Name, unknown>>): readonly Name[] =>
  Object.keys(record) as Name[];

/** The settings for a number of owners together. */
export const times = <Name extends string>(
  settings: BudgetSettings<Name>,
  factor: number,
): BudgetSettings<Name> =>
  ofEach(namesOf(settings), (name) => ({
    capacity: settings[name].capacity * factor,
    refillPerSecond: settings[name].refillPerSecond * factor,
  }));

/** The amount that one owner may spend of each resource (SPEC BU5). */
export class Budget<Name extends string = Resource> {
  readonly #settings: BudgetSettings<Name>;
  readonly #names: readonly Name[];
  readonly #buckets: Readonly<Record<Name, TokenBucket>>;

  /** @param tokensOf - the level at first; full by default */
  constructor(
    settings: BudgetSettings<Name>,
    clock: Clock,
    tokensOf: (bucket: BucketSettings) => number = ({ capacity }) => capacity,
  ) {
    this.#settings = settings;
    this.#names = namesOf(settings);
    this.#buckets = ofEach(
      this.#names,
      (name) => new TokenBucket(settings[name], clock, tokensOf(settings[name])),
    );
  }

  /** The first resource whose level is too low for the cost; `undefined` where the budget can pay it. */
  lacking(cost: Amounts<Name>): Name | undefined {
    return this.#names.find((name) => !this.affords(name, cost[name] ?? 0));
  }

  affords(resource: Name, amount: number): boolean {
    return amount <= 0 || this.#buckets[resource].affords(amount);
  }

  /** Takes the amount even where it makes the level negative. A negative amount is given back. */
  spend(resource: Name, amount: number): void {
    this.#buckets[resource].spend(amount);
  }

  /** Like {@link spend}, for each resource of a cost. */
  spendAll(cost: Amounts<Name>): void {
    for (const resource of this.#names) {
      const amount = cost[resource] ?? 0;
      if (amount !== 0) this.spend(resource, amount);
    }
  }

  /** The level of each resource, rounded down; negative where the owner is in debt. */
  get levels(): Readonly<Record<Name, number>> {
    return ofEach(this.#names, (name) => Math.floor(this.#buckets[name].level));
  }

  /** The exact level of one resource; negative where the owner is in debt. */
  levelOf(resource: Name): number {
    return this.#buckets[resource].level;
  }

  /** Lowers each level that is above the given one. */
  lowerTo(levels: Readonly<Record<Name, number>>): void {
    for (const resource of this.#names) {
      const beyond = this.#buckets[resource].level - levels[resource];
      if (beyond > 0) this.spend(resource, beyond);
    }
  }

  /** Lowers each level to that of another budget, but not below this share of the capacity. */
  lowerToThatOf(other: Budget<Name>, leastShare: number): void {
    this.lowerTo(
      ofEach(this.#names, (name) =>
        Math.max(this.#settings[name].capacity * leastShare, other.levelOf(name)),
      ),
    );
  }

  get isFull(): boolean {
    return this.#names.every((name) => this.#buckets[name].isFull());
  }
}

/**
 * The budget of a session that another edge held until now, which may have emptied it. It begins with the income since that edge
 * resumed it, within {@link MIN_CARRIED_SHARE} and {@link MAX_CARRIED_SHARE} of its capacity.
 */
export const carriedBudget = (clock: Clock, heldForMs: number): Budget =>
  carriedOf(SESSION, clock, heldForMs);

/** Like {@link carriedBudget}, with other settings. */
export function carriedOf<Name extends string>(
  settings: BudgetSettings<Name>,
  clock: Clock,
  heldForMs: number,
): Budget<Name> {
  const seconds = Math.max(0, heldForMs) / 1_000;
  return new Budget(settings, clock, ({ capacity, refillPerSecond }) =>
    Math.min(capacity * MAX_CARRIED_SHARE, Math.max(capacity * MIN_CARRIED_SHARE, refillPerSecond * seconds)),
  );
}
