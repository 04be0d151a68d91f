import type { Epoch } from '@plenary/cluster';
import type { ConsumerId } from '@plenary/cluster/ids';
import { MAX_CONSUMERS } from '@plenary/cluster/protocol';
import type { MediaOffer } from '@plenary/cluster/protocol';

/**
 * The consumers that a session opened through this edge, by the epoch of their media session, so that no client opens them
 * without limit. This count is an estimate: the media node has the exact one, and a limit of its own.
 */
export class OpenConsumers {
  readonly #byEpoch = new Map<Epoch, Set<ConsumerId>>();
  /** For each request under way that opens consumers: the consumers that were closed meanwhile. */
  readonly #underWay = new Set<Set<ConsumerId>>();

  /** How many more may be opened. */
  roomOn(epoch: Epoch): number {
    return Math.max(0, MAX_CONSUMERS - (this.#byEpoch.get(epoch)?.size ?? 0));
  }

  opened(epoch: Epoch, consumerIds: readonly ConsumerId[]): void {
    const open = this.#byEpoch.get(epoch) ?? new Set<ConsumerId>();
    this.#byEpoch.set(epoch, open);
    for (const consumerId of consumerIds) open.add(consumerId);
  }

  /**
   * Counts the consumers that a request opens, once it is answered. Consumers that were closed before the answer do not count.
   * If the media session ended meanwhile, none counts.
   * @param isLive - whether the peer still has the media session; called after the answer
   */
  async counting<Reply extends Pick<MediaOffer, 'consumers'>>(
    epoch: Epoch,
    isLive: () => boolean,
    request: () => Promise<Reply>,
  ): Promise<Reply> {
    const closedMeanwhile = new Set<ConsumerId>();
    this.#underWay.add(closedMeanwhile);
    try {
      const reply = await request();
      const ids = reply.consumers.map(({ consumerId }) => consumerId);
      if (isLive())
        this.opened(
          epoch,
          ids.filter((id) => !closedMeanwhile.has(id)),
        );
      return reply;
    } finally {
      this.#underWay.delete(closedMeanwhile);
    }
  }

  /** Counts the consumers of an admission. */
  openedWith({ epoch, consumers }: Pick<MediaOffer, 'epoch' | 'consumers'>): void {
    this.opened(
      epoch,
      consumers.map(({ consumerId }) => consumerId),
    );
  }

  closed(consumerIds: readonly ConsumerId[]): void {
    for (const closedMeanwhile of this.#underWay) {
      for (const consumerId of consumerIds) closedMeanwhile.add(consumerId);
    }
    for (const open of this.#byEpoch.values()) {
      for (const consumerId of consumerIds) open.delete(consumerId);
    }
  }

  /** Forgets the consumers of all media sessions except those of the given epochs. */
  keepOnly(epochs: readonly Epoch[]): void {
    for (const epoch of this.#byEpoch.keys()) {
      if (!epochs.includes(epoch)) this.#byEpoch.delete(epoch);
    }
  }
}
