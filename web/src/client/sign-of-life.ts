/** An edge that owes an answer and has said nothing for so long is asked for a sign of life, in milliseconds. */
export const ASK_AFTER_MS = 1_500;
/** For so long it may keep its asker waiting for that, in milliseconds. */
export const ANSWER_WITHIN_MS = 1_500;
/**
 * An edge that speaks by itself, as it does every 1.5 seconds in a room, and has said nothing for so long is asked too, in
 * milliseconds. While the store is away edges have nothing to say, so all of the room may ask: each a little later than the other.
 */
export const QUIET_AFTER_MS = 3_500;
const QUIET_SPREAD_MS = 1_000;

export interface SignOfLifeEnvironment {
  /** When the oldest request was sent that is not answered yet, by `performance.now()`; `undefined` while none is. */
  readonly owedSinceMs: () => number | undefined;
  /** Asks the edge for what it can give without store and media node. */
  readonly ask: () => void;
  /** It gave none. */
  readonly silent: () => void;
}

/**
 * Finds out whether an edge that does not answer is slow, as when the store hangs, or gone (SPEC SE19, SE55), and whether one that has
 * fallen silent is still there although nothing was asked of it (SE20). Asks nothing while anything comes from the edge, and one
 * thing at a time. Its owner stops it.
 */
export class SignOfLife {
  readonly #environment: SignOfLifeEnvironment;
  #lastHeardMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAsking = false;
  /** After which silence it is asked although it owes nothing; `undefined` while it need not say anything by itself. */
  #quietAfterMs: number | undefined;

  constructor(environment: SignOfLifeEnvironment) {
    this.#environment = environment;
  }

  /** Something was asked of the edge. */
  watch(): void {
    this.#timer ??= setTimeout(this.#look, ASK_AFTER_MS);
  }

  /** The edge has begun to speak by itself, and is to go on. */
  speaksByItself(): void {
    this.#quietAfterMs ??= QUIET_AFTER_MS + Math.random() * QUIET_SPREAD_MS;
    this.watch();
  }

  /** The edge owes nothing any more. */
  rest(): void {
    this.#reset();
    if (this.#quietAfterMs !== undefined) this.watch();
  }

  /** The edge said something. */
  heard(): void {
    this.#lastHeardMs = performance.now();
    if (!this.#isAsking) return;
    this.#reset();
    this.watch();
  }

  stop(): void {
    this.#quietAfterMs = undefined;
    this.#reset();
  }

  #reset(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isAsking = false;
  }

  /** When the edge is to be asked, by `performance.now()`; `undefined` while it may be silent. */
  #dueMs(): number | undefined {
    const owedSinceMs = this.#environment.owedSinceMs();
    if (owedSinceMs !== undefined) return Math.max(owedSinceMs, this.#lastHeardMs) + ASK_AFTER_MS;
    return this.#quietAfterMs === undefined ? undefined : this.#lastHeardMs + this.#quietAfterMs;
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    const dueMs = this.#dueMs();
    if (dueMs === undefined) return;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) {
      // No longer than a request would be waited for, which may be made meanwhile.
      this.#timer = setTimeout(this.#look, Math.min(waitMs, ASK_AFTER_MS));
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
    this.#reset();
    this.#environment.silent();
  };
}
