import type { ErrorCode, PlenaryError } from '@plenary/cluster/errors';
import type { TrackId } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';

/** After a consumer was closed its track is asked for again in once to twice this time, in milliseconds. */
const ASK_AGAIN_MS = 75;
/** Errors that may pass although the table calls them final: the track may not have reached its node yet. */
const WORTH_RETRYING: readonly ErrorCode[] = ['track_not_found'];
const MAX_UNSURE_ATTEMPTS = 5;

/** When tracks that could not be had, or that ended, may be asked for again. */
export class RetryTimes {
  readonly #failures = new Map<TrackId, { readonly attempts: number; readonly retryAtMs: number }>();

  /** The track could not be had. */
  failed(trackId: TrackId, { retryable, code }: PlenaryError): void {
    const attempts = this.#failures.get(trackId)?.attempts ?? 0;
    if (retryable || (WORTH_RETRYING.includes(code) && attempts < MAX_UNSURE_ATTEMPTS))
      this.postpone(trackId);
    else this.#failures.set(trackId, { attempts: attempts + 1, retryAtMs: Infinity });
  }

  /** The track is asked for again after a pause, which grows each time. */
  postpone(trackId: TrackId): void {
    const attempts = (this.#failures.get(trackId)?.attempts ?? 0) + 1;
    const delayMs = 100 + fullJitterMs(attempts, RETRY_BACKOFF, Math.random());
    this.#failures.set(trackId, { attempts, retryAtMs: performance.now() + delayMs });
  }

  /**
   * What was received of the track ended.
   * @param goesOn - whether the track does for certain: most often its end is about to be told, and then it is not asked for again
   */
  ended(trackId: TrackId, goesOn: boolean): void {
    const delayMs = goesOn ? 0 : ASK_AGAIN_MS * (1 + Math.random());
    this.#failures.set(trackId, { attempts: 0, retryAtMs: performance.now() + delayMs });
  }

  isHopeless(trackId: TrackId): boolean {
    return this.#failures.get(trackId)?.retryAtMs === Infinity;
  }

  *[Symbol.iterator](): Iterator<readonly [trackId: TrackId, retryAtMs: number]> {
    for (const [trackId, { retryAtMs }] of this.#failures) yield [trackId, retryAtMs];
  }

  forget(trackId: TrackId): void {
    this.#failures.delete(trackId);
  }

  /** Forgets tracks that are not in the room any more. */
  keep(tracks: ReadonlyMap<TrackId, unknown>): void {
    for (const trackId of this.#failures.keys()) if (!tracks.has(trackId)) this.#failures.delete(trackId);
  }

  clear(): void {
    this.#failures.clear();
  }
}
