import { guardCallback, leftOut, oneLine } from '@plenary/cluster';
import type { Logger, RareLines } from '@plenary/cluster';
import { setLogEventListeners } from 'mediasoup';

const SHOWN_LENGTH = 500;

/**
 * A worker closes consumers with their producer, and transports with their router, and notifies afterwards. Until
 * that notice arrives, this process may request the same close, which the worker refuses. Nothing is left open.
 */
const CLOSE_OF_CLOSED = /MediaSoupNotFoundError: \w+ not found \[method:\w+\.close\w*\]/;

/** Whether mediasoup reports that an object to be closed had closed already. */
export const isCloseOfClosed = (message: string): boolean => CLOSE_OF_CLOSED.test(message);

/**
 * Logs the faults that mediasoup and its workers report: a dying worker writes the reason to its standard error, and
 * mediasoup does not pass that on (SPEC WK16). Clients may cause such faults, so the lines are limited.
 */
export function logWorkerFaults(logger: Logger, lines: RareLines): void {
  setLogEventListeners({
    onerror: guardCallback('child_process', (from: string, said: string, error?: Error) => {
      if (isCloseOfClosed(said)) {
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
