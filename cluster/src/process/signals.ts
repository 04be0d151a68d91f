import { guardCallback, inBackground } from './guarded-callbacks.ts';
import type { Logger } from './logging.ts';

/**
 * Handles signals to end: the first one drains and then stops the process, a further one stops it at once (SPEC DR7,
 * DR26).
 * @param drain - settles when the process is empty or its time is over; absent if there is nothing to wait for
 */
export function drainThenStop(
  drain: () => Promise<unknown> | undefined,
  stop: (why: string) => void,
): (why: string) => void {
  let isDraining = false;
  let isStopping = false;
  return (why) => {
    if (isDraining || isStopping) {
      isStopping = true;
      stop(why);
      return;
    }
    const drained = drain();
    if (drained === undefined) {
      isStopping = true;
      stop(why);
      return;
    }
    isDraining = true;
    const done = (): void => {
      // A second signal did not wait for the drain.
      if (isStopping) return;
      isStopping = true;
      stop(why);
    };
    inBackground(() => drained.then(done, done));
  };
}

/** Signals that request the end of a process: from an orchestrator, from the keyboard, or from a closed terminal. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** Ignores the signal on which Node would open its debugger to anybody who reaches the loopback (SPEC LC21). */
export function refuseDebugger(
  process: { on(event: 'SIGUSR1', listener: () => void): unknown },
  logger: Pick<Logger, 'warn'>,
): void {
  process.on(
    'SIGUSR1',
    guardCallback('signal', () => logger.warn('SIGUSR1 is ignored: it opens no debugger here')),
  );
}
