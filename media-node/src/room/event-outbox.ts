import { toPlenaryError, after } from '@plenary/cluster';
import type { LoggedEvent, Logger, RoomId } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';

/** How often waiting changes are tried again, in milliseconds, beside the moment the store returns. */
const RETRY_MS = 2_000;
/** Changes that wait at most; beyond it the oldest is given up and counted. */
const MAX_WAITING = 20_000;

/** A change of the store that the node makes by itself, safe to make twice. */
export interface Change {
  /** Of two waiting changes with one key, the later replaces the earlier. */
  readonly key: string;
  readonly roomId: RoomId;
  readonly apply: () => Promise<readonly LoggedEvent[]>;
  /** Takes the events that the change made. */
  readonly deliver: (events: readonly LoggedEvent[]) => void;
}

/**
 * What this node has to tell the store although nobody waits for it, such as that tracks ended. While the store is away
 * the changes wait here: losing the store is not losing the truth.
 */
export class EventOutbox {
  readonly #metrics: NodeMetrics;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, Change>();
  readonly #running = new Set<Promise<void>>();
  #retryTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(metrics: NodeMetrics, logger: Logger) {
    this.#metrics = metrics;
    this.#logger = logger;
  }

  /** Makes a change now if the store answers, else when it does. */
  submit(change: Change): void {
    this.#waiting.delete(change.key);
    const running = this.#attempt(change).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Tries what waits: the store is back. */
  flush(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const changes = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const change of changes) this.submit(change);
    this.#note();
  }

  /** Ends once every change that is being made has been made, or has to wait. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    this.#waiting.clear();
    this.#note();
  }

  async #attempt(change: Change): Promise<void> {
    try {
      const events = await change.apply();
      if (events.length > 0) change.deliver(events);
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      this.#metrics.errors.inc({ where: 'outbox', code: error.code });
      if (error.code === 'store_unavailable' && !this.#closed) this.#wait(change);
      else
        this.#logger.warn(
          { err: error, change: change.key, roomId: change.roomId },
          'change of a room not written to the store; given up',
        );
    }
  }

  #wait(change: Change): void {
    // A newer change of the same thing may have begun to wait meanwhile.
    if (!this.#waiting.has(change.key)) this.#waiting.set(change.key, change);
    const oldest = this.#waiting.keys().next();
    if (this.#waiting.size > MAX_WAITING && oldest.done !== true) {
      this.#waiting.delete(oldest.value);
      this.#metrics.errors.inc({ where: 'outbox_overflow', code: 'store_unavailable' });
    }
    this.#note();
    this.#retryTimer ??= after(RETRY_MS, () => {
      this.flush();
    });
  }

  #note(): void {
    this.#metrics.outbox.set(this.#waiting.size);
  }
}
