import {
  PlenaryError,
  every,
  exitOnFault,
  refuseDebugger,
  StopSequence,
  systemClock,
} from '@plenary/cluster';
import type { EdgeRecord, FaultHooks, Logger, Registry, StopSignal } from '@plenary/cluster';
import type { ReportFault } from './metrics.ts';

/** Renewals in one lease: two of them may be lost before the lease lapses. */
const RENEWALS_PER_LEASE = 3;

export interface AnnouncerSettings {
  readonly registry: Registry;
  readonly record: () => EdgeRecord;
  readonly leaseMs: number;
  readonly logger: Logger;
  readonly reportFault: ReportFault;
}

/** Keeps this edge announced from its start to its withdrawal, through every outage of the store. */
export class Announcer {
  readonly #settings: AnnouncerSettings;
  #timer: NodeJS.Timeout | undefined;
  #isIdTaken = false;
  #isFailing = false;

  constructor(settings: AnnouncerSettings) {
    this.#settings = settings;
  }

  /** Whether another living process has this edge's id, so that no client may be sent here. */
  get isIdTaken(): boolean {
    return this.#isIdTaken;
  }

  /** @returns a promise that settles when the first announcement was made or failed; it never rejects */
  start(): Promise<void> {
    this.#timer = every(this.#settings.leaseMs / RENEWALS_PER_LEASE, () => this.announce());
    return this.announce();
  }

  /** Announces the edge now. Never throws, because the next renewal comes soon. */
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
      // Each renewal fails while the store is down: only the first failure is reported.
      if (!this.#isFailing) reportFault('announce', fault);
      this.#isFailing = true;
    }
  }

  /** Withdraws the announcement. Never throws, because an announcement that stays lapses. */
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

/** A stop that takes longer is cut short, in milliseconds. */
export const STOP_DEADLINE_MS = 4_500;

export interface Stoppable {
  /** Sends everybody elsewhere; `undefined` where a stop does not wait for that. */
  drain(): Promise<unknown> | undefined;
  stop(): Promise<void>;
}

/** The parts of a process that its end needs; a port, so that only the entry file names `process`. */
export interface ProcessHooks extends FaultHooks {
  on(event: StopSignal | 'SIGUSR1', listener: () => void): unknown;
  on(event: 'uncaughtException' | 'unhandledRejection', listener: (fault: unknown) => void): unknown;
}

/**
 * Ends the process as {@link StopSequence} says, within {@link STOP_DEADLINE_MS}, and on uncaught errors (SPEC LC1, LC2).
 */
export function guardProcess(process: ProcessHooks, stoppable: Stoppable, logger: Logger): StopSequence {
  const sequence = new StopSequence({
    process,
    drain: () => stoppable.drain(),
    stop: async () => stoppable.stop(),
    stopWithinMs: STOP_DEADLINE_MS,
    clock: systemClock,
    logger,
  });
  sequence.listen();
  refuseDebugger(process, logger);
  exitOnFault(process, logger);
  return sequence;
}

/** The reason that clients get when the edge stops. */
export const shuttingDown = (): PlenaryError => new PlenaryError('shutting_down');
