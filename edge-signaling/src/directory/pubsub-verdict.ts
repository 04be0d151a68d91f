import type { Clock, EdgeRecord, StoreTrouble } from '@plenary/cluster';

/** Other edges that have the same fault have found it by then, and said so in the registry, in milliseconds. */
export const SAID_WITHIN_MS = 5_000;

/** Whether it is this edge alone that hears no others, or is not heard. Mostly the cause is common to all edges (SPEC HL13). */
export class PubSubVerdict {
  readonly #clock: Clock;
  #sinceMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What other edges are told of this one. */
  get isOff(): boolean {
    return this.#sinceMs !== undefined;
  }

  changed(trouble: StoreTrouble | undefined): void {
    this.#sinceMs = trouble === undefined ? undefined : (this.#sinceMs ?? this.#clock.monotonicMs());
  }

  /** Whether whoever comes is better off at another edge. @param others - those that serve */
  isBetterElsewhere(others: readonly Pick<EdgeRecord, 'isPubSubOff'>[]): boolean {
    if (this.#sinceMs === undefined || this.#clock.monotonicMs() - this.#sinceMs < SAID_WITHIN_MS)
      return false;
    return others.some(({ isPubSubOff }) => isPubSubOff !== true);
  }
}
