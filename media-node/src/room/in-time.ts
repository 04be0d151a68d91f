import type { Timers } from './timers.ts';

/** What `work` gives within `limitMs`; `undefined` when it takes longer. It goes on then, and a later failure is its owner's. */
export async function inTime<Value>(
  timers: Timers,
  limitMs: number,
  work: Promise<Value>,
): Promise<Value | undefined> {
  const tooLate = Promise.withResolvers<undefined>();
  const cancel = timers.after(limitMs, () => {
    tooLate.resolve(undefined);
  });
  return Promise.race([work, tooLate.promise]).finally(cancel);
}
