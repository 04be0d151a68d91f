import type { PlenaryError } from '@plenary/cluster/errors';
import type { TrackId } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';

/** Shortest wait before a failed request is repeated, in milliseconds. */
const MIN_RETRY_MS = 100;
/** Shortest wait before a track whose consumer closed is requested again, in milliseconds; the longest is twice as long. */
const MIN_REQUEST_AGAIN_MS = 75;
/** Retries after `track_not_found`, which is final for other requests: here the track may not have reached its node yet. */
const MAX_TRACK_NOT_FOUND_RETRIES = 5;

/** When tracks that failed or ended may be requested again. */
export class RetryTimes {
  readonly #random: () => number;
  readonly #retries = new Map<TrackId, { readonly attempts: number; readonly retryAtMs: number }>();

  /** @param random - returns a number in [0, 1), for the jitter */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Notes that a request for the track failed. */
  failed(trackId: TrackId, { retryable, code }: PlenaryError): void {
    const attempts = this.#retries.get(trackId)?.attempts ?? 0;
    if (retryable || (code === 'track_not_found' && attempts < MAX_TRACK_NOT_FOUND_RETRIES))
      this.postpone(trackId);
    else this.#retries.set(trackId, { attempts: attempts + 1, retryAtMs: Infinity });
  }

  /** Delays the next request for the track. The upper bound of the delay doubles each time, up to that of {@link RETRY_BACKOFF}. */
  postpone(trackId: TrackId): void {
    const attempts = (this.#retries.get(trackId)?.attempts ?? 0) + 1;
    const delayMs = MIN_RETRY_MS + fullJitterMs(attempts, RETRY_BACKOFF, this.#random());
    this.#retries.set(trackId, { attempts, retryAtMs: performance.now() + delayMs });
  }

  /**
   * Notes that the consumer of the track ended.
   * @param trackContinues - whether the track certainly goes on. If not, its end is usually announced within the delay, and no request is needed.
   */
  ended(trackId: TrackId, trackContinues: boolean): void {
    const delayMs = trackContinues ? 0 : MIN_REQUEST_AGAIN_MS * (1 + this.#random());
    this.#retries.set(trackId, { attempts: 0, retryAtMs: performance.now() + delayMs });
  }

  /** Whether the track is never requested again, after a final error. */
  isGivenUp(trackId: TrackId): boolean {
    return this.#retries.get(trackId)?.retryAtMs === Infinity;
  }

  *[Symbol.iterator](): Iterator<readonly [trackId: TrackId, retryAtMs: number]> {
    for (const [trackId, { retryAtMs }] of this.#retries) yield [trackId, retryAtMs];
  }

  forget(trackId: TrackId): void {
    this.#retries.delete(trackId);
  }

  /** Forgets tracks that left the room. */
  keep(tracks: ReadonlyMap<TrackId, unknown>): void {
    for (const trackId of this.#retries.keys()) if (!tracks.has(trackId)) this.#retries.delete(trackId);
  }

  clear(): void {
    this.#retries.clear();
  }
}
