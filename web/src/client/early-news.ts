import type { ConsumerId } from '@plenary/cluster/protocol';

/** It has ended; the same, and its track goes on by another way; its track is to come by another one. */
export type ConsumerNews = 'ended' | 'path_lost' | 'superseded';

/**
 * What an edge tells of consumers that have no receiver yet: their offer is under way, or the browser negotiates. Lost news would
 * leave a receiver of nothing that counts as one of the track (SPEC MS35).
 */
export class EarlyNews {
  readonly #news = new Map<ConsumerId, ConsumerNews>();

  note(consumerId: ConsumerId, news: ConsumerNews): void {
    // An end is the last word.
    if (news !== 'superseded' || !this.#news.has(consumerId)) this.#news.set(consumerId, news);
  }

  /** What was told of it, once. */
  take(consumerId: ConsumerId): ConsumerNews | undefined {
    const news = this.#news.get(consumerId);
    this.#news.delete(consumerId);
    return news;
  }

  /** No consumer is under way any more. */
  clear(): void {
    this.#news.clear();
  }
}
