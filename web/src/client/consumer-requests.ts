import { toPlenaryError, type PlenaryError } from '@plenary/cluster/errors';
import type { ConsumerId, ConsumerOffer } from '@plenary/cluster/protocol';
import { TokenBucket } from '@plenary/cluster/token-bucket';
import { batches } from './batches.ts';
import type { ClientLog } from './counters.ts';
import type { MediaSession } from './media-session.ts';
import { pageClock } from './page-clock.ts';
import type { RequestEdge } from './request-edge.ts';
import type { ReceivedConsumer } from './subscription.ts';

/** Rate of requests that end replaced consumers. */
const ENDS = { capacity: 8, refillPerSecond: 1 } as const;

/** Reports consumers that this client no longer needs, or cannot receive, to the edge. Handles its own errors. */
export class ConsumerRequests {
  readonly #request: RequestEdge;
  readonly #log: ClientLog;
  readonly #ends = new TokenBucket(ENDS, pageClock);
  /** Consumers that are no longer needed, with their media sessions. */
  #unneeded: readonly Pick<ReceivedConsumer, 'offer' | 'media'>[] = [];

  constructor(request: RequestEdge, log: ClientLog) {
    this.#request = request;
    this.#log = log;
  }

  /** Notes a consumer that was replaced, or opened in vain. The next {@link release} unsubscribes it. */
  noteUnneeded(received: Pick<ReceivedConsumer, 'offer' | 'media'>): void {
    // A consumer of a media session that is being left counts too: its publisher may wait for the last viewer, who may wait for another one.
    this.#unneeded = [...this.#unneeded, received];
  }

  /** Forgets the noted consumers, because their transports closed. */
  clear(): void {
    this.#unneeded = [];
  }

  /** Unsubscribes the noted consumers. @returns the wait until the rate limit allows it, in milliseconds; 0 when done */
  release(): number {
    const waitMs = this.#unneeded.length === 0 ? 0 : this.#ends.takeOrWaitMs();
    if (waitMs > 0) return waitMs;
    const byMedia = new Map<MediaSession, ConsumerId[]>();
    for (const { media, offer } of this.#unneeded)
      if (!media.closed) byMedia.set(media, [...(byMedia.get(media) ?? []), offer.consumerId]);
    this.#unneeded = [];
    for (const [media, consumerIds] of byMedia)
      for (const batch of batches(consumerIds)) this.unsubscribe(media, batch);
    return 0;
  }

  unsubscribe({ epoch }: MediaSession, consumerIds: ConsumerId[]): void {
    this.#request('unsubscribe', { consumerIds, epoch }).catch((thrown: unknown) => {
      // The media node keeps the consumers until the media session ends; they only cost bandwidth.
      this.#log.warn('unsubscribe failed', toPlenaryError(thrown).message);
    });
  }

  /** Reports a consumer that the browser cannot receive, so that the media node ends it. */
  reportFailed({ epoch }: MediaSession, { consumerId, trackId }: ConsumerOffer, error: PlenaryError): void {
    if (error.code !== 'cannot_consume') return;
    this.#request('consumer.failed', { consumerId, trackId, epoch }).catch((thrown: unknown) => {
      this.#log.warn('consumer.failed failed', toPlenaryError(thrown).message);
    });
  }
}
