import type { StoreKind } from './store.ts';
import type { FaultWorld } from './fault-world.ts';

/** The intended median and 99th percentile, in milliseconds. 0 means that nobody notices anything. */
export interface Goal {
  readonly p50: number;
  readonly p99: number;
}

/** What one person receives from another. */
export interface Stream {
  readonly viewer: string;
  readonly publisher: string;
}

/** The streams between these people, in all directions. */
export function streamsAmong(people: readonly { readonly name: string }[]): readonly Stream[] {
  return people.flatMap(({ name: viewer }) =>
    people.filter(({ name }) => name !== viewer).map(({ name: publisher }) => ({ viewer, publisher })),
  );
}

/** The goals for what a person may notice. */
export interface Goals {
  readonly media?: Goal;
  readonly buttons?: Goal;
}

/** One row of the fault table. */
export interface Fault {
  readonly name: string;
  readonly store: StoreKind;
  /** Whether one host has a clock of its own, which the fault can set. */
  readonly hasOwnClock?: boolean;
  /** Whether `npm test` also runs it. */
  readonly isQuick: boolean;
  readonly goals: Goals;
  /** How long the fault lasts before it is healed, in milliseconds; without it, until everybody has recovered despite the fault. */
  readonly lastsMs?: number;
  /**
   * What must work during the fault after a while: everything; pictures and sound; or nothing.
   */
  readonly worksDuringFault: 'everything' | 'media' | 'nothing';
  /** What a person notices. */
  readonly person: string;
  /** What an operator sees. */
  readonly operator: string;
  /**
   * The streams that the figures count, chosen before the fault strikes; without it, all streams between all people.
   */
  readonly measuredStreams?: (world: FaultWorld) => Promise<readonly Stream[]>;
  /** @returns a function that heals the fault */
  readonly strike: (world: FaultWorld) => Promise<() => Promise<void>>;
}

/** The world that a fault needs; rows with the same world run in it one after the other. */
export function worldOf({ store, hasOwnClock = false }: Fault): {
  readonly store: StoreKind;
  readonly hasOwnClock: boolean;
} {
  return { store, hasOwnClock };
}

/** Groups rows by the world that they need. */
export function byWorld(faults: readonly Fault[]): readonly (readonly Fault[])[] {
  return [...Map.groupBy(faults, (fault) => JSON.stringify(worldOf(fault))).values()];
}
