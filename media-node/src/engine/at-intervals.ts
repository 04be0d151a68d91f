import { after } from '@plenary/cluster';

/** Does something when asked to, once in an interval at most: what is asked for meanwhile is done once, at its end. */
export class AtIntervals {
  readonly #intervalMs: number;
  readonly #work: () => void;
  #resting: NodeJS.Timeout | undefined;
  #isAsked = false;

  constructor(intervalMs: number, work: () => void) {
    this.#intervalMs = intervalMs;
    this.#work = work;
  }

  ask(): void {
    if (this.#resting === undefined) this.#do();
    else this.#isAsked = true;
  }

  stop(): void {
    clearTimeout(this.#resting);
    this.#isAsked = false;
  }

  #do(): void {
    this.#isAsked = false;
    this.#resting = after(this.#intervalMs, () => {
      this.#resting = undefined;
      if (this.#isAsked) this.#do();
    });
    this.#work();
  }
}
