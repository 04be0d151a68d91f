import { toPlenaryError } from '@plenary/cluster/errors';
import type { Epoch, TrackId } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog } from './counters.ts';
import { InterruptibleWait } from './interruptible-wait.ts';
import type { RequestEdge } from './request-edge.ts';

export interface TrackEnderEnvironment {
  readonly request: RequestEdge;
  readonly isConnected: () => boolean;
  readonly log: ClientLog;
}

/** Ends the client's own tracks at the edge, and retries until the edge confirms. */
export class TrackEnder {
  readonly #environment: TrackEnderEnvironment;
  readonly #retryWait = new InterruptibleWait();
  /** Tracks to end as soon as an edge is connected. */
  readonly #toEnd = new Map<TrackId, Epoch | undefined>();
  /** Tracks with a pending `track.end` request. */
  readonly #ending = new Set<TrackId>();

  constructor(environment: TrackEnderEnvironment) {
    this.#environment = environment;
  }

  /** Ends a track. Handles its own errors: a failed request is repeated when an edge is connected again. */
  end(trackId: TrackId, epoch: Epoch | undefined): void {
    this.#toEnd.set(trackId, epoch);
    if (this.#ending.has(trackId)) return;
    this.#ending.add(trackId);
    this.#requestEnd(trackId)
      .catch((thrown: unknown) => {
        this.#environment.log.warn('track.end', thrown);
      })
      .finally(() => this.#ending.delete(trackId));
  }

  /** Repeats the pending requests, because an edge is connected again. */
  reconcile(): void {
    this.#retryWait.wakeAll();
    for (const [trackId, epoch] of [...this.#toEnd]) this.end(trackId, epoch);
  }

  /** Forgets all tracks, because they ended with their transports. */
  clear(): void {
    this.#toEnd.clear();
    this.#retryWait.wakeAll();
  }

  async #requestEnd(trackId: TrackId): Promise<void> {
    const { request, isConnected, log } = this.#environment;
    for (let attempt = 0; this.#toEnd.has(trackId); attempt += 1) {
      try {
        await request('track.end', { trackId, epoch: this.#toEnd.get(trackId) });
        this.#toEnd.delete(trackId);
      } catch (thrown) {
        const error = toPlenaryError(thrown);
        log.warn('track.end failed', error.message);
        if (!error.retryable) this.#toEnd.delete(trackId);
        else if (!isConnected()) return;
        else await this.#retryWait.wait(100 + fullJitterMs(attempt, RETRY_BACKOFF, Math.random()));
      }
    }
  }
}
