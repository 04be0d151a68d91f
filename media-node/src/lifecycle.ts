import {
  drainThenStop,
  STOP_SIGNALS,
  watchParentPipe,
  after,
  guardCallback,
  inBackground,
} from '@plenary/cluster';
import type { Logger } from '@plenary/cluster';

/** How long a stop waits for the nodes behind this gateway to move their tracks, in milliseconds. */
export const HANDOVER_MS = 5_000;
/** How long a stop waits for the store to record it, and to record ended tracks, in milliseconds. */
export const FAREWELL_MS = 1_000;
/** Time for closing workers, links and the store on a busy machine, in milliseconds. */
const CLOSING_MS = 2_000;
/** A stop that takes longer is aborted, in milliseconds; longer than all of its parts in sequence. */
export const STOP_DEADLINE_MS = HANDOVER_MS + 2 * FAREWELL_MS + CLOSING_MS;

/** A part of a process that can be stopped. */
export interface Stoppable {
  stop(): Promise<void>;
}

/** Exits on uncaught errors: a process in an unknown state must not host meetings. Must be called first. */
export function exitOnFault(logger: Logger): void {
  const exit = (fault: unknown): void => {
    logger.fatal({ err: fault }, 'uncaught error; exiting');
    process.exit(1);
  };
  process.on('unhandledRejection', guardCallback('signal', exit));
  process.on('uncaughtException', guardCallback('signal', exit));
}

/**
 * Returns a function that stops everything and exits, with `code` on success. A second call, by a second signal,
 * exits at once with 1.
 */
export function stopOnce(
  stoppables: readonly Stoppable[],
  logger: Logger,
  exit: (code: number) => void = (code) => process.exit(code),
): (why: string, code: number) => void {
  let stopping = false;
  return (why, code) => {
    if (stopping) {
      exit(1);
      return;
    }
    stopping = true;
    logger.info({ why }, 'stopping');
    after(STOP_DEADLINE_MS, () => {
      logger.error({ deadlineMs: STOP_DEADLINE_MS }, 'stop took too long; exiting');
      exit(1);
    }).unref();
    inBackground(() =>
      stopAll(stoppables).then(
        () => {
          logger.info('stopped');
          exit(code);
        },
        (fault: unknown) => {
          logger.fatal({ err: fault }, 'stop failed; exiting');
          exit(1);
        },
      ),
    );
  };
}

/**
 * Drains and stops on SIGTERM, SIGINT and SIGHUP; stops at once on a second signal, and when the parent process ends.
 */
export function stopOnSignals(
  stop: (why: string, code: number) => void,
  drain: () => Promise<unknown> | undefined,
  parentPipe: boolean,
): void {
  const signalled = drainThenStop(drain, (why) => {
    stop(why, 0);
  });
  for (const signal of STOP_SIGNALS) {
    process.on(
      signal,
      guardCallback('signal', () => {
        signalled(signal);
      }),
    );
  }
  if (parentPipe) {
    watchParentPipe(() => {
      stop('the parent is gone', 0);
    });
  }
}

async function stopAll(stoppables: readonly Stoppable[]): Promise<void> {
  for (const stoppable of stoppables) await stoppable.stop();
}
