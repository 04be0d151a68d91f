/** Timers as a port, so that delays can be tested without waiting. */
export interface Timers {
  /** Calls `action` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, action: () => void): () => void;
}

/** A timer that fires later than this after its time shows that the process stood still, in milliseconds. */
const STOOD_STILL_MS = 50;

/**
 * Returns the result of some work, or after `limitMs` the result of `onLate`. The work then continues, and its owner
 * handles a later failure. Time in which this process stood still (a paused machine, a stopped process, a long
 * garbage collection) does not count: after a standstill timers fire before anything that arrived meanwhile is read,
 * and an answer that waits in the socket would be missed. So a late timer is set once more, for as long as it was
 * late, and for at most `limitMs` in all.
 */
export async function withDeadline<Value, Otherwise>(
  timers: Timers,
  limitMs: number,
  work: Promise<Value>,
  onLate: () => Otherwise,
): Promise<Value | Otherwise> {
  const late = Promise.withResolvers<Otherwise>();
  let extraMs = limitMs;
  let cancel = (): void => undefined;
  const wait = (delayMs: number): void => {
    const dueMs = performance.now() + delayMs;
    cancel = timers.after(delayMs, () => {
      const lateMs = Math.min(performance.now() - dueMs, extraMs);
      if (lateMs > STOOD_STILL_MS) {
        extraMs -= lateMs;
        wait(lateMs);
        return;
      }
      try {
        late.resolve(onLate());
      } catch (fault) {
        late.reject(fault);
      }
    });
  };
  wait(limitMs);
  return Promise.race([work, late.promise]).finally(() => cancel());
}

/** The result of some work, or `undefined` after the time that {@link withDeadline} measures. */
export async function atMost<Value>(
  timers: Timers,
  limitMs: number,
  work: Promise<Value>,
): Promise<Value | undefined> {
  return withDeadline(timers, limitMs, work, () => undefined);
}
