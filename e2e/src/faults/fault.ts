import type { StoreKind } from './store.ts';
import type { FaultWorld } from './fault-world.ts';

/** Median and 99th percentile that are aimed at, in milliseconds. 0: as if nothing had happened. */
export interface Goal {
  readonly p50: number;
  readonly p99: number;
}

/** What one person gets of another. */
export interface Stream {
  readonly viewer: string;
  readonly publisher: string;
}

/** What each of these people gets of each other one. */
export function streamsAmong(people: readonly { readonly name: string }[]): readonly Stream[] {
  return people.flatMap(({ name: viewer }) =>
    people.filter(({ name }) => name !== viewer).map(({ name: publisher }) => ({ viewer, publisher })),
  );
}

/** What a person may notice. */
export interface Goals {
  readonly media?: Goal;
  readonly buttons?: Goal;
}

/** One row of the table. */
export interface Fault {
  readonly name: string;
  readonly store: StoreKind;
  /** Whether one host has a clock of its own, which it can set. */
  readonly hasOwnClock?: boolean;
  /** Whether `npm test` runs it too. */
  readonly isQuick: boolean;
  readonly goals: Goals;
  /** How long it lasts before it is healed, in milliseconds; absent: until everybody is well again in spite of it. */
  readonly lastsMs?: number;
  /**
   * What works while it lasts, after a while: everything; pictures and sound; or nothing that could be asked for.
   */
  readonly meanwhile: 'everything' | 'media' | 'nothing';
  /** What a person notices. */
  readonly person: string;
  /** What an operator sees. */
  readonly operator: string;
  /**
   * Whose picture and sound the figures are of, where the row is about some of the people only, as is known before it strikes;
   * absent: everybody's of everybody.
   */
  readonly judgedBy?: (world: FaultWorld) => Promise<readonly Stream[]>;
  /** @returns what heals it */
  readonly strike: (world: FaultWorld) => Promise<() => Promise<void>>;
}

/** The world that a fault strikes; rows with the same one follow each other in it. */
export function worldOf({ store, hasOwnClock = false }: Fault): {
  readonly store: StoreKind;
  readonly hasOwnClock: boolean;
} {
  return { store, hasOwnClock };
}

/** Rows by the world that they strike. */
export function byWorld(faults: readonly Fault[]): readonly (readonly Fault[])[] {
  return [...Map.groupBy(faults, (fault) => JSON.stringify(worldOf(fault))).values()];
}
