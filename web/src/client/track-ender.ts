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

/** Ends tracks of one's own at the edge, and asks again until it has. */
export class TrackEnder {
  readonly #environment: TrackEnderEnvironment;
  readonly #patience = new InterruptibleWait();
  /** Tracks to end as soon as an edge listens. */
  readonly #toEnd = new Map<TrackId, Epoch | undefined>();
  /** Those of them whose end an edge is being asked for. */
  readonly #ending = new Set<TrackId>();

  constructor(environment: TrackEnderEnvironment) {
    this.#environment = environment;
  }

  /** Handles its own errors: a track that could not be ended is ended when an edge listens again. */
  end(trackId: TrackId, epoch: Epoch | undefined): void {
    this.#toEnd.set(trackId, epoch);
    if (this.#ending.has(trackId)) return;
    this.#ending.add(trackId);
    this.#ask(trackId)
      .catch((thrown: unknown) => {
        this.#environment.log.warn('track.end', thrown);
      })
      .finally(() => this.#ending.delete(trackId));
  }

  /** An edge listens again. */
  reconcile(): void {
    this.#patience.hurry();
    for (const [trackId, epoch] of [...this.#toEnd]) this.end(trackId, epoch);
  }

  /** The tracks are gone with their transports. */
  clear(): void {
    this.#toEnd.clear();
    this.#patience.hurry();
  }

  async #ask(trackId: TrackId): Promise<void> {
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
        else await this.#patience.wait(100 + fullJitterMs(attempt, RETRY_BACKOFF, Math.random()));
      }
    }
  }
}
