import { PlenaryError } from '../errors.ts';

/**
 * Commands that wait for an answer at most. A busy process has some hundreds; who waits behind thousands would give up
 * before the answer came.
 */
export const MAX_UNANSWERED = 5_000;

/**
 * Lets commands to the store through, as long as it serves any and not too many wait for an answer: one that hangs would
 * otherwise have a process pile up what nobody waits for any more, and carry all of it out when it wakes (SPEC RC23, RC24).
 */
export class CommandGate {
  readonly #isServed: (key: string | undefined) => boolean;
  #unanswered = 0;

  /** @param isServed - whether commands on a key are being answered now, as far as is known */
  constructor(isServed: (key: string | undefined) => boolean = () => true) {
    this.#isServed = isServed;
  }

  /** Commands that were sent and are not answered, also those that nobody waits for any more. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /**
   * @param key - one that the command is about; none where any server can answer
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
