import { toPlenaryError, type ErrorCode, type PlenaryError } from '@plenary/cluster/errors';
import type { ClientRequestInput, TrackId } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { InterruptibleWait } from './interruptible-wait.ts';
import type { RequestEdge } from './request-edge.ts';

/** The session or its media is being begun anew, which publishes everything anew: no fault of the track. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['out_of_order', 'session_gone', 'peer_not_found']);
/** The media node does not have what the track was published on. */
const MEDIA_GONE: ReadonlySet<ErrorCode> = new Set(['media_lost', 'transport_not_found']);

/** Whether a request about a track may succeed later. */
export function isWorthRetrying({ retryable, code }: PlenaryError): boolean {
  return retryable || PASSING.has(code);
}

/** Whether a track can only be had by other media. */
export function isMediaGone({ code }: PlenaryError): boolean {
  return MEDIA_GONE.has(code);
}

export interface AnnounceEnvironment {
  readonly request: RequestEdge;
  /** Pauses before another attempt. */
  readonly patience: InterruptibleWait;
  /** What is asked for, as it is wished at each attempt. */
  readonly publication: () => ClientRequestInput<'track.publish'>;
  /** Whether anybody still wants to know. */
  readonly isAwaited: () => boolean;
}

/** A track as the edge has it. */
export interface AnnouncedTrack {
  readonly trackId: TrackId;
  readonly paused: boolean;
  /** An earlier attempt may have got through, with another value of `paused`. */
  readonly isSure: boolean;
}

/**
 * Has the edge name a track that is sent already; asks again while that may help.
 * @returns `undefined` when nobody wants to know any more
 * @throws PlenaryError what the edge refused with
 */
export async function announceTrack({
  request,
  patience,
  publication,
  isAwaited,
}: AnnounceEnvironment): Promise<AnnouncedTrack | undefined> {
  for (let tries = 0; ; tries += 1) {
    const asked = publication();
    try {
      const { trackId } = await request('track.publish', asked);
      return { trackId, paused: asked.paused, isSure: tries === 0 };
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (!isWorthRetrying(error) || isMediaGone(error) || !isAwaited()) throw error;
      await patience.wait(100 + fullJitterMs(tries, RETRY_BACKOFF, Math.random()));
      if (!isAwaited()) return undefined;
    }
  }
}
