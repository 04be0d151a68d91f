import { guardCallback, inBackground } from './guarded-callbacks.ts';
import type { Logger } from './logging.ts';

/**
 * What a signal to end does: the first one drains and then stops, and a further one stops at once (SPEC DR7, DR26).
 * @param drain - settles when the process is empty, or its time is over; absent, there is nothing to wait for
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
      // A second signal did not wait for this.
      if (isStopping) return;
      isStopping = true;
      stop(why);
    };
    inBackground(() => drained.then(done, done));
  };
}

/** What asks a process to end: an orchestrator, a person at the keyboard, or the end of the terminal it was started from. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** Where Node itself would open its debugger, to whoever reaches the loopback, nothing happens (SPEC LC21). */
export function refuseDebugger(
  process: { on(event: 'SIGUSR1', listener: () => void): unknown },
  logger: Pick<Logger, 'warn'>,
): void {
  process.on(
    'SIGUSR1',
    guardCallback('signal', () => logger.warn('SIGUSR1 is ignored: it opens no debugger here')),
  );
}
