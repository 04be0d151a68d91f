import type { Clock } from './clock.ts';

/** How long a loss is remembered, in milliseconds. */
const REMEMBER_LOSSES_MS = 20_000;
/**
 * The time by number of losses: after one or two losses something is back at once; if it flaps, it must first serve
 * for a while.
 */
const HOLD_MS = [0, 0, 0, 1_000, 2_000, 4_000] as const;

/** How long something with this many losses must serve without a break before it counts as back, in milliseconds. */
export const holdMs = (losses: number): number => HOLD_MS[Math.min(losses, HOLD_MS.length - 1)] ?? 0;

/**
 * Remembers how often an external service was lost lately. A loss counts at once; a return counts later the more
 * often the service flaps (SPEC HL4, HL19).
 */
export class Damping {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #lossesAtMs: readonly number[] = [];

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  noteLoss(): void {
    const nowMs = this.#clock.monotonicMs();
    const isRecent = (atMs: number): boolean => nowMs - atMs < REMEMBER_LOSSES_MS;
    this.#lossesAtMs = [...this.#lossesAtMs.filter(isRecent), nowMs].slice(-HOLD_MS.length);
  }

  /** How long the service must serve now, in milliseconds. */
  get holdMs(): number {
    return holdMs(this.#lossesAtMs.length);
  }
}
