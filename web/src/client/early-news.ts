import type { ConsumerId } from '@plenary/cluster/protocol';

/** The consumer ended; it ended because its path was lost, while its track goes on; or another consumer is to replace it. */
export type ConsumerNews = 'ended' | 'path_lost' | 'superseded';

/**
 * Keeps notices about consumers that have no receiver yet, because their offer is in flight or the browser is negotiating. If such a
 * notice were dropped, the client would keep a dead receiver and count it as the track's (SPEC MS35).
 */
export class EarlyNews {
  readonly #news = new Map<ConsumerId, ConsumerNews>();

  note(consumerId: ConsumerId, news: ConsumerNews): void {
    // A notice of the end is final.
    if (news !== 'superseded' || !this.#news.has(consumerId)) this.#news.set(consumerId, news);
  }

  /** Returns the notice about a consumer and forgets it. */
  take(consumerId: ConsumerId): ConsumerNews | undefined {
    const news = this.#news.get(consumerId);
    this.#news.delete(consumerId);
    return news;
  }

  /** Forgets all notices, when no consumer is being opened. */
  clear(): void {
    this.#news.clear();
  }
}
