import { StopSequence, systemClock } from '@plenary/cluster';
import type { Logger, StopHooks } from '@plenary/cluster';

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

/**
 * Ends the process as {@link StopSequence} says: stops all parts in their order, within {@link STOP_DEADLINE_MS}.
 * @param stoppables - read when the stop begins, so that parts may be added until then
 */
export function stopOnSignals(
  process: StopHooks,
  stoppables: readonly Stoppable[],
  drain: () => Promise<unknown> | undefined,
  logger: Logger,
): StopSequence {
  const sequence = new StopSequence({
    process,
    drain,
    stop: async () => stopAll(stoppables),
    stopWithinMs: STOP_DEADLINE_MS,
    clock: systemClock,
    logger,
  });
  sequence.listen();
  return sequence;
}

async function stopAll(stoppables: readonly Stoppable[]): Promise<void> {
  for (const stoppable of stoppables) await stoppable.stop();
}
