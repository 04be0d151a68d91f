import { after } from '../process/entry.ts';
/** A store that does not answer within this time counts as away for that command, in milliseconds. */
export const COMMAND_TIMEOUT_MS = 2_000;

/** Gives what a promise gives, if that comes in time. @param onLate - told when it does not. @throws Error when it does not */
export async function within<Result>(
  promise: Promise<Result>,
  limitMs: number,
  onLate?: () => void,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = after(limitMs, () => {
      onLate?.();
      reject(new Error(`no answer within ${limitMs} ms`));
    });
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
