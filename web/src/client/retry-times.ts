import type { ErrorCode, PlenaryError } from '@plenary/cluster/errors';
import type { TrackId } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';

/** After a consumer closed, its track is requested again within once to twice this time, in milliseconds. */
const ASK_AGAIN_MS = 75;
/** Errors that may be temporary although the table calls them final: the track may not have reached its node yet. */
const WORTH_RETRYING: readonly ErrorCode[] = ['track_not_found'];
const MAX_UNSURE_ATTEMPTS = 5;

/** When tracks that failed or ended may be requested again. */
export class RetryTimes {
  readonly #failures = new Map<TrackId, { readonly attempts: number; readonly retryAtMs: number }>();

  /** Notes that a request for the track failed. */
  failed(trackId: TrackId, { retryable, code }: PlenaryError): void {
    const attempts = this.#failures.get(trackId)?.attempts ?? 0;
    if (retryable || (WORTH_RETRYING.includes(code) && attempts < MAX_UNSURE_ATTEMPTS))
      this.postpone(trackId);
    else this.#failures.set(trackId, { attempts: attempts + 1, retryAtMs: Infinity });
  }

  /** Delays the next request for the track. The delay grows each time. */
  postpone(trackId: TrackId): void {
    const attempts = (this.#failures.get(trackId)?.attempts ?? 0) + 1;
    const delayMs = 100 + fullJitterMs(attempts, RETRY_BACKOFF, Math.random());
    this.#failures.set(trackId, { attempts, retryAtMs: performance.now() + delayMs });
  }

  /**
   * Notes that the consumer of the track ended.
   * @param goesOn - whether the track certainly goes on. If not, its end is usually announced within the delay, and no request is needed.
   */
  ended(trackId: TrackId, goesOn: boolean): void {
    const delayMs = goesOn ? 0 : ASK_AGAIN_MS * (1 + Math.random());
    this.#failures.set(trackId, { attempts: 0, retryAtMs: performance.now() + delayMs });
  }

  isUnavailable(trackId: TrackId): boolean {
    return this.#failures.get(trackId)?.retryAtMs === Infinity;
  }

  *[Symbol.iterator](): Iterator<readonly [trackId: TrackId, retryAtMs: number]> {
    for (const [trackId, { retryAtMs }] of this.#failures) yield [trackId, retryAtMs];
  }

  forget(trackId: TrackId): void {
    this.#failures.delete(trackId);
  }

  /** Forgets tracks that left the room. */
  keep(tracks: ReadonlyMap<TrackId, unknown>): void {
    for (const trackId of this.#failures.keys()) if (!tracks.has(trackId)) this.#failures.delete(trackId);
  }

  clear(): void {
    this.#failures.clear();
  }
}
