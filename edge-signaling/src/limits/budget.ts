/** What may be spent: the numbers, and the purse of one owner. */
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

/** Of one session, wherever the connection is. */
const SESSION: BudgetSettings = {
  work: { capacity: 150, refillPerSecond: 50 },
  mediasoup: { capacity: 1_500, refillPerSecond: 100 },
  store: { capacity: 120, refillPerSecond: 20 },
  bytes: { capacity: 32 * MIB, refillPerSecond: 2 * MIB },
  deliveries: { capacity: 30_000, refillPerSecond: 3_000 },
};
/** Of all sessions of one person on one edge, in whatever rooms: as much as one session, of which three may come in at once. */
const PERSON: BudgetSettings = {
  work: { capacity: 450, refillPerSecond: 50 },
  mediasoup: { capacity: 4_500, refillPerSecond: 100 },
  store: { capacity: 360, refillPerSecond: 20 },
  bytes: { capacity: 96 * MIB, refillPerSecond: 2 * MIB },
  deliveries: { capacity: 90_000, refillPerSecond: 3_000 },
};
/** Of a room on one edge, for each of its people: so a large room has more, and a join storm fits. */
const ROOM: BudgetSettings = {
  work: { capacity: 150, refillPerSecond: 15 },
  mediasoup: { capacity: 1_500, refillPerSecond: 50 },
  store: { capacity: 60, refillPerSecond: 6 },
  bytes: { capacity: 4 * MIB, refillPerSecond: 256 * KIB },
  deliveries: { capacity: 5_000, refillPerSecond: 300 },
};
/** Of a tenant on one edge, whatever its rooms: about what one edge can do. */
const TENANT: BudgetSettings = {
  work: { capacity: 600_000, refillPerSecond: 20_000 },
  mediasoup: { capacity: 3_000_000, refillPerSecond: 100_000 },
  store: { capacity: 200_000, refillPerSecond: 10_000 },
  bytes: { capacity: 16_384 * MIB, refillPerSecond: 512 * MIB },
  deliveries: { capacity: 15_000_000, refillPerSecond: 300_000 },
};
/** Of an address on one edge, for each socket that it may have (`PLENARY_SOCKETS_PER_ADDRESS`). */
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

/** A room of fewer people has the budget of so many. */
export const SMALL_ROOM = 20;
/**
 * What a session that comes from another edge finds in its purse at most, of what it holds: more than coming back takes, and
 * less than would make going from edge to edge worth it.
 */
export const CARRIED_SHARE = 0.4;
/** And at least, however short ago it was taken up before: what coming back and opening media anew takes. */
export const CARRIED_LEAST_SHARE = 0.3;

export type Levels = Readonly<Record<Resource, number>>;

/** Whether a session that is held elsewhere from now on would find more there than these levels. */
export const isBelowCarried = (levels: Levels): boolean =>
  RESOURCES.some((resource) => levels[resource] < SESSION[resource].capacity * CARRIED_SHARE);

/** One value for each of some names. */
export function ofEach<Name extends string, Value>(
  names: readonly Name[],
  valueOf: (name: Name) => Value,
): Record<Name, Value> {
  return Object.fromEntries(names.map((name) => [name, valueOf(name)])) as Record<Name, Value>;
}

export const namesOf = <Name extends string>(record: Readonly<Record<Name, unknown>>): readonly Name[] =>
  Object.keys(record) as Name[];

/** So much for each of a number. */
export const times = <Name extends string>(
  settings: BudgetSettings<Name>,
  factor: number,
): BudgetSettings<Name> =>
  ofEach(namesOf(settings), (name) => ({
    capacity: settings[name].capacity * factor,
    refillPerSecond: settings[name].refillPerSecond * factor,
  }));

/** What one owner may spend of each resource (SPEC BU5). */
export class Budget<Name extends string = Resource> {
  readonly #settings: BudgetSettings<Name>;
  readonly #names: readonly Name[];
  readonly #buckets: Readonly<Record<Name, TokenBucket>>;

  /** @param tokensOf - what is in it at first; absent, it is full */
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

  /** What there is too little of for the cost; nothing where it can be paid. */
  lacking(cost: Amounts<Name>): Name | undefined {
    return this.#names.find((name) => !this.affords(name, cost[name] ?? 0));
  }

  affords(resource: Name, amount: number): boolean {
    return amount <= 0 || this.#buckets[resource].affords(amount);
  }

  /** Takes the amount in any case: what is not there is owed. A negative one is given back. */
  spend(resource: Name, amount: number): void {
    this.#buckets[resource].spend(amount);
  }

  /** The same with all of a cost. */
  spendAll(cost: Amounts<Name>): void {
    for (const resource of this.#names) {
      const amount = cost[resource] ?? 0;
      if (amount !== 0) this.spend(resource, amount);
    }
  }

  /** What is in it of each resource; negative where it is owed. */
  get levels(): Readonly<Record<Name, number>> {
    return ofEach(this.#names, (name) => Math.floor(this.#buckets[name].level));
  }

  /** What is in it of one resource, to the fraction; negative where it is owed. */
  levelOf(resource: Name): number {
    return this.#buckets[resource].level;
  }

  /** Takes what is in it beyond these levels. */
  lowerTo(levels: Readonly<Record<Name, number>>): void {
    for (const resource of this.#names) {
      const beyond = this.#buckets[resource].level - levels[resource];
      if (beyond > 0) this.spend(resource, beyond);
    }
  }

  /** Takes what is in it beyond what is in another one; so much of the whole is left in any case. */
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
 * The purse of a session that was held elsewhere until now, where it may have been emptied when it was taken up there: what has
 * come in since then is in it, within {@link CARRIED_LEAST_SHARE} and {@link CARRIED_SHARE} of the whole.
 */
export const carriedBudget = (clock: Clock, heldForMs: number): Budget =>
  carriedOf(SESSION, clock, heldForMs);

/** The same with another table. */
export function carriedOf<Name extends string>(
  settings: BudgetSettings<Name>,
  clock: Clock,
  heldForMs: number,
): Budget<Name> {
  const seconds = Math.max(0, heldForMs) / 1_000;
  return new Budget(settings, clock, ({ capacity, refillPerSecond }) =>
    Math.min(capacity * CARRIED_SHARE, Math.max(capacity * CARRIED_LEAST_SHARE, refillPerSecond * seconds)),
  );
}
