import { PlenaryError } from '@plenary/cluster';
import type { Timers } from '@plenary/cluster';

/** How long several things that are asked for together are waited for: what there is is not held up by what is missing. */
export class SharedDeadline {
  readonly #timers: Timers;
  readonly #stragglersMs: number;
  readonly #over = Promise.withResolvers<never>();
  #isOver = false;
  #hasOne = false;
  readonly #cancels: (() => void)[];

  /**
   * @param deadlineMs - for all of them
   * @param stragglersMs - for the others, once one is there
   */
  constructor(timers: Timers, deadlineMs: number, stragglersMs: number) {
    this.#timers = timers;
    this.#stragglersMs = stragglersMs;
    this.#cancels = [timers.after(deadlineMs, this.#end)];
    // Whoever waits hears of it; here it is only kept from counting as unheard.
    this.#over.promise.catch(() => undefined);
  }

  /**
   * Waits for one of them. What comes later is handed to `onLate`, so that what it holds is freed.
   * @throws PlenaryError `timed_out`; whatever `promise` rejects with before that
   */
  async within<Value>(promise: Promise<Value>, onLate: (value: Value) => void): Promise<Value> {
    const watched = promise.then((value) => {
      if (this.#isOver) onLate(value);
      else this.#oneIsThere();
      return value;
    });
    return Promise.race([watched, this.#over.promise]);
  }

  /** Nothing is waited for any more. */
  stop(): void {
    for (const cancel of this.#cancels.splice(0)) cancel();
  }

  #oneIsThere(): void {
    if (this.#hasOne) return;
    this.#hasOne = true;
    this.#cancels.push(this.#timers.after(this.#stragglersMs, this.#end));
  }

  readonly #end = (): void => {
    this.#isOver = true;
    this.#over.reject(new PlenaryError('timed_out'));
  };
}
