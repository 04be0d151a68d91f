import type { Epoch } from '@plenary/cluster';
import type { ConsumerId } from '@plenary/cluster/ids';
import { MAX_CONSUMERS } from '@plenary/cluster/protocol';
import type { MediaOffer } from '@plenary/cluster/protocol';

/**
 * The consumers that a session opened by this edge, by the media that they belong to: so that nobody opens them without end.
 * No truth: the media node knows, and has a bound of its own.
 */
export class OpenConsumers {
  readonly #byEpoch = new Map<Epoch, Set<ConsumerId>>();
  /** For each request that opens consumers and is under way: what was closed meanwhile. */
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
   * Counts what a request opens, once it is answered. Consumers that were closed before the answer do not count, nor does
   * anything where the media has gone meanwhile.
   * @param isLive - whether the session still has the media; asked after the answer
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

  /** Counts those that came with an admission. */
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

  /** Forgets those of media that are gone. */
  keepOnly(epochs: readonly Epoch[]): void {
    for (const epoch of this.#byEpoch.keys()) {
      if (!epochs.includes(epoch)) this.#byEpoch.delete(epoch);
    }
  }
}
