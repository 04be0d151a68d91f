import type { Clock } from './clock.ts';

/** Losses within this time count for how long something must serve before it counts as back, in milliseconds. */
const REMEMBER_LOSSES_MS = 20_000;
/** By the number of losses: what is lost once or twice is back at once, what flaps must have served for a while. */
const HOLD_MS = [0, 0, 0, 1_000, 2_000, 4_000] as const;

/** For how long something that was lost so often must serve without a break before it counts as back, in milliseconds. */
export const holdMs = (losses: number): number => HOLD_MS[Math.min(losses, HOLD_MS.length - 1)] ?? 0;

/** Remembers how often something outside was lost lately: a loss counts at once, a return later the more often it flaps (SPEC HL4, HL19). */
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

  /** For how long it must serve now, in milliseconds. */
  get holdMs(): number {
    return holdMs(this.#lossesAtMs.length);
  }
}
