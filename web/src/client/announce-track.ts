import { toPlenaryError, type ErrorCode, type PlenaryError } from '@plenary/cluster/errors';
import type { ClientRequestInput, TrackId } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { InterruptibleWait } from './interruptible-wait.ts';
import type { RequestEdge } from './request-edge.ts';

/** The session or the media session is being replaced, which publishes every track again: no fault of the track. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set(['out_of_order', 'session_gone', 'peer_not_found']);
/** The media node no longer has the transport of the track. */
const MEDIA_GONE: ReadonlySet<ErrorCode> = new Set(['media_lost', 'transport_not_found']);

/** Whether a request about a track may succeed later. */
export function isWorthRetrying({ retryable, code }: PlenaryError): boolean {
  return retryable || TRANSIENT.has(code);
}

/** Whether the track needs a new media session. */
export function isMediaGone({ code }: PlenaryError): boolean {
  return MEDIA_GONE.has(code);
}

export interface AnnounceEnvironment {
  readonly request: RequestEdge;
  /** The wait before another attempt. */
  readonly retryWait: InterruptibleWait;
  /** Builds the request; called for each attempt, so that it carries the current state. */
  readonly publication: () => ClientRequestInput<'track.publish'>;
  /** Whether the caller still waits for the result. */
  readonly isAwaited: () => boolean;
}

/** A track that the edge has accepted. */
export interface AnnouncedTrack {
  readonly trackId: TrackId;
  readonly paused: boolean;
  /** `false` after a retry: an earlier attempt may have arrived with another value of `paused`. */
  readonly isCertain: boolean;
}

/**
 * Publishes at the edge a track that the browser already sends. Retries while the error may be temporary.
 * @returns `undefined` when the caller no longer waits for the result
 * @throws PlenaryError the edge's refusal
 */
export async function announceTrack({
  request,
  retryWait,
  publication,
  isAwaited,
}: AnnounceEnvironment): Promise<AnnouncedTrack | undefined> {
  for (let tries = 0; ; tries += 1) {
    const payload = publication();
    try {
      const { trackId } = await request('track.publish', payload);
      return { trackId, paused: payload.paused, isCertain: tries === 0 };
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (!isWorthRetrying(error) || isMediaGone(error) || !isAwaited()) throw error;
      await retryWait.wait(100 + fullJitterMs(tries, RETRY_BACKOFF, Math.random()));
      if (!isAwaited()) return undefined;
    }
  }
}
