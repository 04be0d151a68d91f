import { toPlenaryError, type PlenaryError } from '@plenary/cluster/errors';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog } from './counters.ts';
import { InterruptibleWait } from './interruptible-wait.ts';

/** Shortest wait before a failed value is sent again, in milliseconds. */
const MIN_RETRY_MS = 100;

export interface ValueSyncEnvironment<Value> {
  /** The name of the value in the log. */
  readonly name: string;
  /** Returns the desired value. */
  readonly desired: () => Value;
  /** Sends the value to the edge; resolves when the edge has accepted it. */
  readonly send: (value: Value) => Promise<void>;
  /** Whether an edge is connected. Without one, the owner calls {@link ValueSync.sync} after the next connection. */
  readonly isConnected: () => boolean;
  readonly isWorthRetrying: (error: PlenaryError) => boolean;
  /** Called when the edge refuses the value permanently. */
  readonly refused: (error: PlenaryError) => void;
  readonly log: ClientLog;
}

/**
 * Keeps a value at the edge equal to the desired value of this client, and retries until both are the same. The effect of a failed
 * request is unknown, so the value is sent again even when the desired value is the old one again.
 */
export class ValueSync<Value> {
  readonly #environment: ValueSyncEnvironment<Value>;
  readonly #retryWait = new InterruptibleWait();
  #confirmed: { readonly value: Value } | undefined;
  /** Grows with each {@link reset}, so that older requests have no effect any more. */
  #generation = 0;
  #isSending = false;

  constructor(environment: ValueSyncEnvironment<Value>) {
    this.#environment = environment;
  }

  /** Notes that the edge certainly has this value. */
  confirm(value: Value): void {
    this.reset();
    this.#confirmed = { value };
  }

  /** Notes that the value at the edge is unknown. */
  invalidate(): void {
    this.reset();
  }

  /** Forgets the value at the edge and ends the attempts to send one. */
  reset(): void {
    this.#generation += 1;
    this.#confirmed = undefined;
    this.#isSending = false;
    this.#retryWait.wakeAll();
  }

  /** Sends the desired value now if the edge does not have it. Safe to call at any time. Handles its own errors. */
  sync(): void {
    this.#retryWait.wakeAll();
    if (this.#isSending) return;
    this.#isSending = true;
    const generation = this.#generation;
    this.#sendUntilConfirmed(generation)
      .catch((thrown: unknown) => {
        this.#environment.log.warn(this.#environment.name, thrown);
      })
      .finally(() => {
        if (generation === this.#generation) this.#isSending = false;
      });
  }

  async #sendUntilConfirmed(generation: number): Promise<void> {
    const { name, desired, send, isConnected, isWorthRetrying, refused, log } = this.#environment;
    let attempt = 0;
    while (this.#confirmed?.value !== desired()) {
      const value = desired();
      this.#confirmed = undefined;
      try {
        await send(value);
        if (generation !== this.#generation) return;
        this.#confirmed = { value };
        attempt = 0;
      } catch (thrown) {
        const error = toPlenaryError(thrown);
        log.warn(`${name} failed`, error.message);
        if (generation !== this.#generation) return;
        if (!isWorthRetrying(error)) {
          refused(error);
          return;
        }
        if (!isConnected()) return;
        await this.#retryWait.wait(MIN_RETRY_MS + fullJitterMs(attempt, RETRY_BACKOFF, Math.random()));
        if (generation !== this.#generation) return;
        attempt += 1;
      }
    }
  }
}
