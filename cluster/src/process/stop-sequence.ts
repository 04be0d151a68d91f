import type { Clock } from '../clock.ts';
import { after, guardCallback, inBackground } from './guarded-callbacks.ts';
import type { Logger } from './logging.ts';
import { STOP_SIGNALS } from './signals.ts';
import type { StopSignal } from './signals.ts';

/**
 * A signal so soon after the stop began belongs to the same request, in milliseconds: Ctrl-C reaches a process from its terminal, and once
 * more from the launcher that passes it on.
 */
export const SAME_REQUEST_MS = 1_000;

/** The parts of a process that its end needs; a port, so that tests can send signals and see the exit code. */
export interface StopHooks {
  on(event: StopSignal, listener: () => void): unknown;
  exit(code: number): void;
}

export interface StopSequenceSettings {
  readonly process: StopHooks;
  /** Moves everybody to other processes; `undefined` where a stop waits for nobody. */
  readonly drain: () => Promise<unknown> | undefined;
  readonly stop: () => Promise<void>;
  /** A stop that takes longer is cut short, in milliseconds. */
  readonly stopWithinMs: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/**
 * Ends a process. The first signal drains and then stops, the second one ends the drain and begins the stop (SPEC DR7, DR26); a
 * signal {@link SAME_REQUEST_MS} after the stop began, or later, exits at once with 1 (SPEC DR32, DR33). A stop that fails or takes too long exits with 1 (SPEC LC14).
 */
export class StopSequence {
  readonly #settings: StopSequenceSettings;
  #state: 'running' | 'draining' | 'stopping' = 'running';
  #stoppingSinceMs = 0;

  constructor(settings: StopSequenceSettings) {
    this.#settings = settings;
  }

  /** Listens for {@link STOP_SIGNALS} from now on. */
  listen(): void {
    for (const signal of STOP_SIGNALS)
      this.#settings.process.on(
        signal,
        guardCallback('signal', () => this.#signalled(signal)),
      );
  }

  /**
   * Stops without a drain, and then exits with `code`; does nothing while the process stops already (SPEC LC15).
   * @param why - for the log
   */
  stop(why: string, code = 0): void {
    if (this.#state === 'stopping') return;
    this.#state = 'stopping';
    const { process, stop, stopWithinMs, clock, logger } = this.#settings;
    this.#stoppingSinceMs = clock.monotonicMs();
    logger.info({ why }, 'stopping');
    after(stopWithinMs, () => {
      logger.error({ deadlineMs: stopWithinMs }, 'stop took too long; exiting');
      process.exit(1);
    }).unref();
    inBackground(() =>
      stop().then(
        () => {
          logger.info('stopped');
          process.exit(code);
        },
        (fault: unknown) => {
          logger.error({ err: fault }, 'stop failed; exiting');
          process.exit(1);
        },
      ),
    );
  }

  #signalled(signal: StopSignal): void {
    const { process, clock, logger } = this.#settings;
    switch (this.#state) {
      case 'running':
        this.#drain(signal);
        break;
      case 'draining':
        this.stop(signal);
        break;
      case 'stopping':
        if (clock.monotonicMs() - this.#stoppingSinceMs < SAME_REQUEST_MS) return;
        logger.warn({ signal }, 'signal during the stop; exiting at once');
        process.exit(1);
    }
  }

  #drain(signal: StopSignal): void {
    const drained = this.#settings.drain();
    if (drained === undefined) {
      this.stop(signal);
      return;
    }
    this.#state = 'draining';
    const done = (): void => this.stop(signal);
    inBackground(() => drained.then(done, done));
  }
}
