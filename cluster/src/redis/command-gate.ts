import { PlenaryError } from '../errors.ts';

/**
 * The highest number of unanswered commands. A busy process has some hundreds; callers behind thousands would stop
 * waiting before their answer came.
 */
export const MAX_UNANSWERED = 5_000;

/**
 * Passes commands to the store while it serves and not too many are unanswered. Otherwise a store that hangs would let
 * a process pile up commands whose callers have given up, and carry out all of them when it recovers (SPEC RC23, RC24).
 */
export class CommandGate {
  readonly #isServed: (key: string | undefined) => boolean;
  #unanswered = 0;

  /** @param isServed - whether the store is answering commands on a key, as far as is known */
  constructor(isServed: (key: string | undefined) => boolean = () => true) {
    this.#isServed = isServed;
  }

  /** Commands that were sent and not answered, including those whose callers stopped waiting. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /**
   * @param key - a key that the command uses; absent if any server can answer
   * @throws PlenaryError `store_unavailable`; what the command throws
   */
  async pass<Result>(command: () => Promise<Result>, key?: string): Promise<Result> {
    if (!this.#isServed(key) || this.#unanswered >= MAX_UNANSWERED)
      throw new PlenaryError('store_unavailable');
    this.#unanswered += 1;
    try {
      return await command();
    } finally {
      this.#unanswered -= 1;
    }
  }
}
