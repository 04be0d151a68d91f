/** Waiting as a port, so that graces and lingers can be tested without waiting. */
export interface Timers {
  /** Calls `action` once after `delayMs`; the returned function takes it back. */
  after(delayMs: number, action: () => void): () => void;
}

/** A timer that fires later than this after its time says that the process stood still, in milliseconds. */
const STOOD_STILL_MS = 50;

/**
 * Gives what some work gives, or after `limitMs` what `onLate` gives or throws; the work goes on then, and a later failure is its owner's.
 * Time in which this process itself stood still (a paused machine, a stopped process, a long garbage collection) does not count: after it,
 * timers fire before anything that arrived meanwhile is read, and an answer that waits in the socket would count as none. So a timer that
 * fires late is set once more, for as long as it was late, and altogether for `limitMs` at most.
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

/** What some work gives, or `undefined` once the time is up, as {@link withDeadline} counts it. */
export async function atMost<Value>(
  timers: Timers,
  limitMs: number,
  work: Promise<Value>,
): Promise<Value | undefined> {
  return withDeadline(timers, limitMs, work, () => undefined);
}
