import {
  drainThenStop,
  PlenaryError,
  after,
  guardCallback,
  every,
  inBackground,
  refuseDebugger,
  STOP_SIGNALS,
} from '@plenary/cluster';
import type { EdgeRecord, Logger, Registry, StopSignal } from '@plenary/cluster';
import type { ReportFault } from './metrics.ts';

/** A lease is renewed so often that two renewals may be lost. */
const RENEWALS_PER_LEASE = 3;

export interface AnnouncerSettings {
  readonly registry: Registry;
  readonly record: () => EdgeRecord;
  readonly leaseMs: number;
  readonly logger: Logger;
  readonly reportFault: ReportFault;
}

/** Keeps this edge announced, from its start to its withdrawal, over every outage of the store. */
export class Announcer {
  readonly #settings: AnnouncerSettings;
  #timer: NodeJS.Timeout | undefined;
  #isIdTaken = false;
  #isFailing = false;

  constructor(settings: AnnouncerSettings) {
    this.#settings = settings;
  }

  /** Another living process has this edge's id: no client is to be sent here. */
  get isIdTaken(): boolean {
    return this.#isIdTaken;
  }

  /** @returns settles when the first announcement was made, or failed; never rejects */
  start(): Promise<void> {
    this.#timer = every(this.#settings.leaseMs / RENEWALS_PER_LEASE, () => this.announce());
    return this.announce();
  }

  /** Announces now. Never throws: the next time comes soon. */
  async announce(): Promise<void> {
    const { registry, record, leaseMs, logger, reportFault } = this.#settings;
    try {
      const { refused } = await registry.announceEdge(record(), leaseMs);
      this.#isFailing = false;
      if (refused !== null && !this.#isIdTaken) {
        logger.error({ refused }, 'another living process has the id of this edge; no clients are sent here');
      }
      this.#isIdTaken = refused !== null;
    } catch (fault) {
      // Each renewal fails while the store is away: said when it begins.
      if (!this.#isFailing) reportFault('announce', fault);
      this.#isFailing = true;
    }
  }

  /** Takes the announcement back. Never throws: what cannot be withdrawn lapses. */
  async withdraw(): Promise<void> {
    clearInterval(this.#timer);
    const { registry, record, reportFault } = this.#settings;
    const { edgeId, incarnation } = record();
    try {
      await registry.withdrawEdge(edgeId, incarnation);
    } catch (fault) {
      reportFault('announce', fault, { doing: 'withdrawing' });
    }
  }
}

/** How a stop that hangs is ended. */
const STOP_WITHIN_MS = 4_500;

export interface Stoppable {
  /** Sends everybody elsewhere; `undefined` where a stop is not to wait for that. */
  drain(): Promise<unknown> | undefined;
  stop(): Promise<void>;
}

/** The parts of a process that its end needs; a port, so that the wiring is the only place that knows `process`. */
export interface ProcessHooks {
  on(event: StopSignal | 'SIGUSR1', listener: () => void): unknown;
  on(event: 'uncaughtException' | 'unhandledRejection', listener: (fault: unknown) => void): unknown;
  exit(code: number): void;
}

/**
 * Ends the process well: at SIGTERM, SIGINT and SIGHUP it drains first, which a second signal ends; then, or when `stop` is
 * called, it stops within five seconds and exits with 0. What nobody caught is logged as fatal and ends it with 1: its state can no longer be trusted (SPEC LC1, LC2).
 * @returns stops the process
 */
export function guardProcess(
  process: ProcessHooks,
  stoppable: Stoppable,
  logger: Logger,
): (why: string) => void {
  let isStopping = false;
  const stop = (why: string): void => {
    if (isStopping) return;
    isStopping = true;
    logger.info({ why }, 'stopping');
    after(STOP_WITHIN_MS, () => {
      logger.error({ deadlineMs: STOP_WITHIN_MS }, 'stop took too long; exiting');
      process.exit(1);
    }).unref();
    inBackground(() =>
      stoppable.stop().then(
        () => {
          logger.info('stopped');
          process.exit(0);
        },
        (fault: unknown) => {
          logger.error({ err: fault }, 'stop failed; exiting');
          process.exit(1);
        },
      ),
    );
  };
  const die = (fault: unknown): void => {
    logger.fatal({ err: fault }, 'uncaught error; exiting');
    process.exit(1);
  };
  const signalled = drainThenStop(() => stoppable.drain(), stop);
  for (const signal of STOP_SIGNALS) {
    process.on(
      signal,
      guardCallback('signal', () => signalled(signal)),
    );
  }
  refuseDebugger(process, logger);
  process.on('uncaughtException', guardCallback('signal', die));
  process.on('unhandledRejection', guardCallback('signal', die));
  return stop;
}

/** Why clients are sent away at a stop. */
export const shuttingDown = (): PlenaryError => new PlenaryError('shutting_down');
