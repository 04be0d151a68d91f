import { entry, leftOut, oneLine } from '@plenary/cluster';
import type { Logger, RareLines } from '@plenary/cluster';
import { setLogEventListeners } from 'mediasoup';

const SHOWN_LENGTH = 500;

/**
 * Logs what mediasoup and its workers complain of: a worker that dies says why on its standard error, and mediasoup keeps that to itself
 * (SPEC WK16). What a client sends may be the reason, so lines are few.
 */
export function logWorkerFaults(logger: Logger, lines: RareLines): void {
  setLogEventListeners({
    onerror: entry('child_process', (from: string, said: string, error?: Error) => {
      lines.say(from, (...unsaid) => {
        logger.warn(
          {
            from,
            said: oneLine(said).slice(0, SHOWN_LENGTH),
            ...(error === undefined ? {} : { err: error }),
            ...leftOut(...unsaid),
          },
          'mediasoup reports a fault',
        );
      });
    }),
  });
}
