import { withDeadline } from '../deadline.ts';
import { systemTimers } from '../process/timers.ts';

/** A store that does not answer within this time counts as down for that command, in milliseconds. */
export const COMMAND_TIMEOUT_MS = 2_000;

/** The answer of the store. @param onLate - called when no answer came in time. @throws Error then */
export async function answerWithin<Answer>(
  limitMs: number,
  answer: Promise<Answer>,
  onLate?: () => void,
): Promise<Answer> {
  return withDeadline(systemTimers, limitMs, answer, () => {
    onLate?.();
    throw new Error(`no answer within ${limitMs} ms`);
  });
}
