import { toPlenaryError, after } from '@plenary/cluster';
import type { LoggedEvent, Logger, RoomId } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';

/** Interval between retries of waiting changes, in milliseconds. The return of the store retries them at once. */
const RETRY_MS = 2_000;
/** Maximum number of waiting changes; beyond it the oldest is dropped and counted. */
const MAX_WAITING = 20_000;

/** A change of the store that the node itself makes. Making it twice is safe. */
export interface Change {
  /** A later waiting change replaces an earlier one with the same key. */
  readonly key: string;
  readonly roomId: RoomId;
  readonly apply: () => Promise<readonly LoggedEvent[]>;
  /** Receives the events that the change caused. */
  readonly deliver: (events: readonly LoggedEvent[]) => void;
}

/**
 * Changes of the store that no caller awaits, such as the end of a track. They wait here while the store is
 * unreachable, so that an outage loses none of them.
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

  /** Makes a change now, or when the store answers again. */
  submit(change: Change): void {
    this.#waiting.delete(change.key);
    const running = this.#attempt(change).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Retries all waiting changes, because the store answers again. */
  flush(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const changes = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const change of changes) this.submit(change);
    this.#note();
  }

  /** Resolves once no change is being made: each one was made or waits. */
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
          'change of a room not written to the store; the change is dropped',
        );
    }
  }

  #wait(change: Change): void {
    // A newer change with the same key may have begun to wait meanwhile.
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
