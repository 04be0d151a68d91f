import { toPlenaryError, type PlenaryError } from '@plenary/cluster/errors';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog } from './counters.ts';
import { InterruptibleWait } from './interruptible-wait.ts';

/** So long at least a value that was not taken waits before it is told again, in milliseconds. */
const AGAIN_AFTER_MS = 100;

export interface AgreementEnvironment<Value> {
  /** What it is called in the log. */
  readonly what: string;
  /** What is wished for now. */
  readonly wished: () => Value;
  /** Tells the edge; resolves once it has taken the value. */
  readonly tell: (value: Value) => Promise<void>;
  /** Whether an edge listens; without one, {@link Agreement.seek} is to be called when one does. */
  readonly isConnected: () => boolean;
  readonly isWorthRetrying: (error: PlenaryError) => boolean;
  /** The edge will not take it. */
  readonly refused: (error: PlenaryError) => void;
  readonly log: ClientLog;
}

/**
 * Has the edge agree with what is wished for here: tells it, and tells it again where that fails, until both are the same. What
 * became of a request that failed is not known, so the edge is told again even when the wish is the old one by then.
 */
export class Agreement<Value> {
  readonly #environment: AgreementEnvironment<Value>;
  readonly #patience = new InterruptibleWait();
  #told: { readonly value: Value } | undefined;
  /** Grows when all before is void, as with another track. */
  #turn = 0;
  #seeking = false;

  constructor(environment: AgreementEnvironment<Value>) {
    this.#environment = environment;
  }

  /** The edge has this value, for certain. */
  begin(value: Value): void {
    this.end();
    this.#told = { value };
  }

  /** The edge may have one value or another. */
  beginUnsure(): void {
    this.end();
  }

  /** There is nothing to agree about any more. */
  end(): void {
    this.#turn += 1;
    this.#told = undefined;
    this.#seeking = false;
    this.#patience.hurry();
  }

  /** Tells the edge what it does not have, now; safe to call at any time. Handles its own errors. */
  seek(): void {
    this.#patience.hurry();
    if (this.#seeking) return;
    this.#seeking = true;
    const turn = this.#turn;
    this.#agree(turn)
      .catch((thrown: unknown) => {
        this.#environment.log.warn(this.#environment.what, thrown);
      })
      .finally(() => {
        if (turn === this.#turn) this.#seeking = false;
      });
  }

  async #agree(turn: number): Promise<void> {
    const { what, wished, tell, isConnected, isWorthRetrying, refused, log } = this.#environment;
    let attempt = 0;
    while (this.#told?.value !== wished()) {
      const value = wished();
      this.#told = undefined;
      try {
        await tell(value);
        if (turn !== this.#turn) return;
        this.#told = { value };
        attempt = 0;
      } catch (thrown) {
        const error = toPlenaryError(thrown);
        log.warn(`${what} failed`, error.message);
        if (turn !== this.#turn) return;
        if (!isWorthRetrying(error)) {
          refused(error);
          return;
        }
        if (!isConnected()) return;
        await this.#patience.wait(AGAIN_AFTER_MS + fullJitterMs(attempt, RETRY_BACKOFF, Math.random()));
        if (turn !== this.#turn) return;
        attempt += 1;
      }
    }
  }
}
