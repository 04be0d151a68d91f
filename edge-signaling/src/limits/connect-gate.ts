import type { Clock } from '@plenary/cluster';

export interface ConnectGateSettings {
  /** Connections that may open in one turn of the event loop while turns are late. */
  readonly atOnce: number;
  /** Connections that may open in one turn while the edge lags: fewer than it serves, so that it catches up. */
  readonly atOnceBehind: number;
  /** Whether connected clients wait so long that more of them would give up. */
  readonly isBehind: () => boolean;
  /** A longer turn is late, in milliseconds. */
  readonly lateMs: number;
  readonly clock: Clock;
  /** Calls back when this turn of the event loop is over. */
  readonly afterTurn: (callback: () => void) => void;
}

/** How long one late turn counts, in milliseconds. */
const LATE_FOR_MS = 1_000;

/**
 * Refuses connections that an edge could open but not serve (SPEC HE7, HE13). Opening thousands at once takes so long that all of
 * them give up, reconnect, and are opened in vain again. Clients that are refused at once go to another edge or wait, and the
 * edge serves those that it admitted. While turns of the event loop are short, every connection is admitted.
 */
export class ConnectGate {
  readonly #settings: ConnectGateSettings;
  #opened = 0;
  #turnSinceMs: number | undefined;
  #lateUntilMs = Number.NEGATIVE_INFINITY;

  constructor(settings: ConnectGateSettings) {
    this.#settings = settings;
  }

  /** Whether one more connection may be opened now. */
  admit(): boolean {
    const { clock, afterTurn } = this.#settings;
    const nowMs = clock.monotonicMs();
    if (this.#turnSinceMs === undefined) {
      this.#turnSinceMs = nowMs;
      afterTurn(() => this.#endTurn());
    }
    if (this.#opened >= this.#limit(nowMs)) return false;
    this.#opened += 1;
    return true;
  }

  #limit(nowMs: number): number {
    const { atOnce, atOnceBehind, isBehind } = this.#settings;
    if (isBehind()) return atOnceBehind;
    return nowMs < this.#lateUntilMs ? atOnce : Number.POSITIVE_INFINITY;
  }

  #endTurn(): void {
    const { clock, lateMs } = this.#settings;
    const nowMs = clock.monotonicMs();
    if (nowMs - (this.#turnSinceMs ?? nowMs) > lateMs) this.#lateUntilMs = nowMs + LATE_FOR_MS;
    this.#turnSinceMs = undefined;
    this.#opened = 0;
  }
}
