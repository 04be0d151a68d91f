import { PlenaryError } from '@plenary/cluster';
import type { Timers } from '@plenary/cluster';

/** A deadline for several promises: once the first one resolves, the others get only a short time more. */
export class SharedDeadline {
  readonly #timers: Timers;
  readonly #stragglersMs: number;
  readonly #expired = Promise.withResolvers<never>();
  #isExpired = false;
  #hasOne = false;
  readonly #cancels: (() => void)[];

  /**
   * @param deadlineMs - the time for all of them
   * @param stragglersMs - the time for the others once the first one has resolved
   */
  constructor(timers: Timers, deadlineMs: number, stragglersMs: number) {
    this.#timers = timers;
    this.#stragglersMs = stragglersMs;
    this.#cancels = [timers.after(deadlineMs, this.#end)];
    // Each waiter gets the rejection; this handler only keeps it from counting as unhandled.
    this.#expired.promise.catch(() => undefined);
  }

  /**
   * Waits for one promise. A value that comes later is passed to `onLate`, which frees its resources.
   * @throws PlenaryError `timed_out`; whatever `promise` rejects with before that
   */
  async within<Value>(promise: Promise<Value>, onLate: (value: Value) => void): Promise<Value> {
    const watched = promise.then((value) => {
      if (this.#isExpired) onLate(value);
      else this.#startStragglers();
      return value;
    });
    return Promise.race([watched, this.#expired.promise]);
  }

  /** Cancels the deadline. */
  stop(): void {
    for (const cancel of this.#cancels.splice(0)) cancel();
  }

  #startStragglers(): void {
    if (this.#hasOne) return;
    this.#hasOne = true;
    this.#cancels.push(this.#timers.after(this.#stragglersMs, this.#end));
  }

  readonly #end = (): void => {
    this.#isExpired = true;
    this.#expired.reject(new PlenaryError('timed_out'));
  };
}
