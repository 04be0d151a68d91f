/** An edge that owes an answer and has said nothing for so long is asked for a sign of life, in milliseconds. */
export const ASK_AFTER_MS = 1_500;
/** For so long it may keep its asker waiting for that, in milliseconds. */
export const ANSWER_WITHIN_MS = 1_500;

export interface SignOfLifeEnvironment {
  /** When the oldest request was sent that is not answered yet, by `performance.now()`; `undefined` while none is. */
  readonly owedSinceMs: () => number | undefined;
  /** Asks the edge for what it can give without store and media node. */
  readonly ask: () => void;
  /** It gave none. */
  readonly silent: () => void;
}

/**
 * Finds out whether an edge that does not answer is slow, as when the store hangs, or gone (SPEC SE19). Asks nothing while
 * anything comes from the edge, and one thing at a time. Its owner stops it.
 */
export class SignOfLife {
  readonly #environment: SignOfLifeEnvironment;
  #lastHeardMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAsking = false;

  constructor(environment: SignOfLifeEnvironment) {
    this.#environment = environment;
  }

  /** Something was asked of the edge. */
  watch(): void {
    this.#timer ??= setTimeout(this.#look, ASK_AFTER_MS);
  }

  /** The edge said something. */
  heard(): void {
    this.#lastHeardMs = performance.now();
    if (!this.#isAsking) return;
    this.stop();
    this.watch();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isAsking = false;
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    const owedSinceMs = this.#environment.owedSinceMs();
    if (owedSinceMs === undefined) return;
    const quietMs = performance.now() - Math.max(owedSinceMs, this.#lastHeardMs);
    if (quietMs < ASK_AFTER_MS) {
      this.#timer = setTimeout(this.#look, ASK_AFTER_MS - quietMs);
      return;
    }
    this.#isAsking = true;
    // Where it was this page that stood still, the answer waits to be read: that comes first.
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(this.#giveUp, 0);
    }, ANSWER_WITHIN_MS);
    this.#environment.ask();
  };

  readonly #giveUp = (): void => {
    this.stop();
    this.#environment.silent();
  };
}
