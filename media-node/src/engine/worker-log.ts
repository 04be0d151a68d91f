import { entry, leftOut, oneLine } from '@plenary/cluster';
import type { Logger, RareLines } from '@plenary/cluster';
import { setLogEventListeners } from 'mediasoup';

const SHOWN_LENGTH = 500;

/**
 * A worker ends consumers with their producer, and transports with their router, and says so afterwards: until that is heard this process may
 * ask for the same end, which the worker refuses. Both wanted it, and nothing is left.
 */
const CLOSE_OF_GONE = /MediaSoupNotFoundError: \w+ not found \[method:\w+\.close\w*\]/;

/** Whether mediasoup complains of the end of something that had ended by itself. */
export const isCloseOfGone = (said: string): boolean => CLOSE_OF_GONE.test(said);

/**
 * Logs what mediasoup and its workers complain of: a worker that dies says why on its standard error, and mediasoup keeps that to itself
 * (SPEC WK16). What a client sends may be the reason, so lines are few.
 */
export function logWorkerFaults(logger: Logger, lines: RareLines): void {
  setLogEventListeners({
    onerror: entry('child_process', (from: string, said: string, error?: Error) => {
      if (isCloseOfGone(said)) {
        logger.debug(
          { from, said: oneLine(said).slice(0, SHOWN_LENGTH) },
          'mediasoup object had ended already',
        );
        return;
      }
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
