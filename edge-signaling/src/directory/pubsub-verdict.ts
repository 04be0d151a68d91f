import type { Clock, EdgeRecord, StoreTrouble } from '@plenary/cluster';

/** How long other edges take at most to find the same fault and announce it in the registry, in milliseconds. */
export const ANNOUNCED_WITHIN_MS = 5_000;

/** Decides whether pub/sub fails at this edge only. Mostly all edges share the cause (SPEC HL53). */
export class PubSubVerdict {
  readonly #clock: Clock;
  #sinceMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The state that this edge announces to the other edges. */
  get isOff(): boolean {
    return this.#sinceMs !== undefined;
  }

  changed(trouble: StoreTrouble | undefined): void {
    this.#sinceMs = trouble === undefined ? undefined : (this.#sinceMs ?? this.#clock.monotonicMs());
  }

  /** Whether a connecting client is better off at another edge. @param others - the other edges that serve */
  isBetterElsewhere(others: readonly Pick<EdgeRecord, 'isPubSubOff'>[]): boolean {
    if (this.#sinceMs === undefined || this.#clock.monotonicMs() - this.#sinceMs < ANNOUNCED_WITHIN_MS)
      return false;
    return others.some(({ isPubSubOff }) => isPubSubOff !== true);
  }
}
