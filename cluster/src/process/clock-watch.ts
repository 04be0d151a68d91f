import type { Clock } from '../clock.ts';
import { CLOCK_LEEWAY_SECONDS } from '../tokens/token-fault.ts';
import { guardCallback, every, inBackground } from './guarded-callbacks.ts';
import type { Logger } from './logging.ts';

/** How often the clocks are compared, in milliseconds. */
const COMPARE_EVERY_MS = 10_000;
/** The longest round trip, in milliseconds, after which an answer still says enough about the other clock. */
const LONGEST_ROUND_TRIP_MS = 2_000;
/** The smallest difference of clocks that is logged, in milliseconds; a machine without a time server drifts by less. */
const SAID_FROM_MS = 2_000;
/** The difference from which tokens fail that other processes accept, in milliseconds. */
export const CLOCK_OFF_MS = CLOCK_LEEWAY_SECONDS * 1_000;

/**
 * How far this clock is ahead of another one, in milliseconds, assuming that the other was read after half of the
 * round trip.
 */
export const offsetMs = (ownMs: number, theirMs: number, roundTripMs: number): number =>
  ownMs - (theirMs + roundTripMs / 2);

/** The parts of the store that the watch uses. */
export interface StoreClock {
  /** The store's time, in milliseconds since the epoch. */
  timeMs(): Promise<number>;
  /** Calls back when the store becomes unreachable and when it answers again. @returns a function that ends it */
  onAvailability(listener: (available: boolean) => void): () => void;
}

export interface ClockWatchSettings {
  readonly store: StoreClock;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'error' | 'warn' | 'info'>;
  readonly show: (offsetSeconds: number) => void;
}

/** Compares the clock of this host with the store's, which all processes of a cluster can read (SPEC HL12). */
export class ClockWatch {
  readonly #settings: ClockWatchSettings;
  #timer: NodeJS.Timeout | undefined;
  #stopListening: () => void = () => undefined;
  #offsetMs = 0;
  #said: 'nothing' | 'apart' | 'off' = 'nothing';

  constructor(settings: ClockWatchSettings) {
    this.#settings = settings;
  }

  /** Whether the clocks of this host and the store are so far apart that tokens fail; false as long as this is unknown. */
  get isOff(): boolean {
    return Math.abs(this.#offsetMs) > CLOCK_OFF_MS;
  }

  start(): void {
    this.#timer = every(COMPARE_EVERY_MS, () => this.compare());
    // A store that answers again may be another server.
    this.#stopListening = this.#settings.store.onAvailability(
      guardCallback('store', (isAvailable) => {
        if (isAvailable) inBackground(() => this.compare());
      }),
    );
    inBackground(() => this.compare());
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopListening();
  }

  /** Compares the clocks. Never throws: while the store is unreachable the last comparison counts. */
  async compare(): Promise<void> {
    const { store, clock, show } = this.#settings;
    const askedMs = clock.monotonicMs();
    let theirMs: number;
    try {
      theirMs = await store.timeMs();
    } catch {
      // Other watches report that the store is unreachable.
      return;
    }
    const roundTripMs = clock.monotonicMs() - askedMs;
    if (roundTripMs > LONGEST_ROUND_TRIP_MS) return;
    this.#offsetMs = offsetMs(clock.wallMs(), theirMs, roundTripMs);
    show(this.#offsetMs / 1_000);
    this.#say();
  }

  #say(): void {
    const { logger } = this.#settings;
    const apartMs = Math.abs(this.#offsetMs);
    const isNews = this.isOff ? this.#said !== 'off' : apartMs > SAID_FROM_MS && this.#said === 'nothing';
    if (isNews) {
      this.#said = this.isOff ? 'off' : 'apart';
      const seconds = Math.round(apartMs / 100) / 10;
      const side = this.#offsetMs > 0 ? 'ahead of' : 'behind';
      logger[this.isOff ? 'error' : 'warn'](
        { seconds: Math.sign(this.#offsetMs) * seconds },
        `the clock of this host is ${seconds} s ${side} that of Redis: see that both follow a time server (tokens fail from ${CLOCK_LEEWAY_SECONDS} s on)`,
      );
    } else if (apartMs < SAID_FROM_MS / 2 && this.#said !== 'nothing') {
      this.#said = 'nothing';
      logger.info('the clock of this host and that of Redis agree again');
    }
  }
}
