import type { ConsumerId } from '@plenary/cluster/protocol';

/** The consumer ended; it ended because its path was lost, while its track goes on; or another consumer must replace it. */
export type ConsumerNotice = 'ended' | 'path_lost' | 'superseded';

/**
 * Keeps notices about consumers that have no receiver yet, because their offer is in flight or the browser is negotiating. If such a
 * notice were dropped, the client would keep a dead receiver and count it as the track's (SPEC MS35).
 */
export class EarlyNotices {
  readonly #notices = new Map<ConsumerId, ConsumerNotice>();

  note(consumerId: ConsumerId, notice: ConsumerNotice): void {
    // A notice of the end is final.
    if (notice !== 'superseded' || !this.#notices.has(consumerId)) this.#notices.set(consumerId, notice);
  }

  /** Returns the notice about a consumer and forgets it. */
  take(consumerId: ConsumerId): ConsumerNotice | undefined {
    const notice = this.#notices.get(consumerId);
    this.#notices.delete(consumerId);
    return notice;
  }

  /** Forgets all notices, when no consumer is being opened. */
  clear(): void {
    this.#notices.clear();
  }
}
