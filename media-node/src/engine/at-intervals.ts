import { after } from '@plenary/cluster';

/**
 * Runs work on request, at most once per interval: requests within an interval are combined into one run at its end.
 */
export class AtIntervals {
  readonly #intervalMs: number;
  readonly #work: () => void;
  #resting: NodeJS.Timeout | undefined;
  #isRequested = false;

  constructor(intervalMs: number, work: () => void) {
    this.#intervalMs = intervalMs;
    this.#work = work;
  }

  request(): void {
    if (this.#resting === undefined) this.#run();
    else this.#isRequested = true;
  }

  stop(): void {
    clearTimeout(this.#resting);
    this.#isRequested = false;
  }

  #run(): void {
    this.#isRequested = false;
    this.#resting = after(this.#intervalMs, () => {
      this.#resting = undefined;
      if (this.#isRequested) this.#run();
    });
    this.#work();
  }
}
