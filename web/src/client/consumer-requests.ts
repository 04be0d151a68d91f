import { toPlenaryError, type PlenaryError } from '@plenary/cluster/errors';
import type { ConsumerId, ConsumerOffer } from '@plenary/cluster/protocol';
import { TokenBucket } from '@plenary/cluster/token-bucket';
import { batches } from './batches.ts';
import type { ClientLog } from './counters.ts';
import type { MediaSession } from './media-session.ts';
import { pageClock } from './page-clock.ts';
import type { RequestEdge } from './request-edge.ts';
import type { ReceivedConsumer } from './subscription.ts';

/** Requests that end consumers whose place was taken. */
const ENDS = { capacity: 8, refillPerSecond: 1 } as const;

/** Tells the edge of consumers that are over for this client. Handles its own errors. */
export class ConsumerRequests {
  readonly #request: RequestEdge;
  readonly #log: ClientLog;
  readonly #ends = new TokenBucket(ENDS, pageClock);
  /** Consumers that nobody needs any more, with the transports that they came by. */
  #useless: readonly Pick<ReceivedConsumer, 'offer' | 'media'>[] = [];

  constructor(request: RequestEdge, log: ClientLog) {
    this.#request = request;
    this.#log = log;
  }

  /** Another consumer has taken its place, or it was opened for nothing; the edge is told with the next {@link release}. */
  noteUseless(received: Pick<ReceivedConsumer, 'offer' | 'media'>): void {
    // Also by transports that are being left: their publisher may wait for the last one who watches, and so on in a circle.
    this.#useless = [...this.#useless, received];
  }

  /** Their transports are gone. */
  clear(): void {
    this.#useless = [];
  }

  /** Lets go of what is useless. @returns how long that has to wait, in milliseconds */
  release(): number {
    const waitMs = this.#useless.length === 0 ? 0 : this.#ends.takeOrWaitMs();
    if (waitMs > 0) return waitMs;
    const byMedia = new Map<MediaSession, ConsumerId[]>();
    for (const { media, offer } of this.#useless)
      if (!media.closed) byMedia.set(media, [...(byMedia.get(media) ?? []), offer.consumerId]);
    this.#useless = [];
    for (const [media, consumerIds] of byMedia)
      for (const batch of batches(consumerIds)) this.letGo(media, batch);
    return 0;
  }

  letGo({ epoch }: MediaSession, consumerIds: ConsumerId[]): void {
    this.#request('unsubscribe', { consumerIds, epoch }).catch((thrown: unknown) => {
      // They stay on the node, at worst unseen, until media ends.
      this.#log.warn('unsubscribe failed', toPlenaryError(thrown).message);
    });
  }

  /** A consumer that no receiver can be made for: the edge is to know, and the media node to end it. */
  tellFailed({ epoch }: MediaSession, { consumerId, trackId }: ConsumerOffer, error: PlenaryError): void {
    if (error.code !== 'cannot_consume') return;
    this.#request('consumer.failed', { consumerId, trackId, epoch }).catch((thrown: unknown) => {
      this.#log.warn('consumer.failed failed', toPlenaryError(thrown).message);
    });
  }
}
