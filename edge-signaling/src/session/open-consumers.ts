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

  /** How many more may be opened. */
  roomOn(epoch: Epoch): number {
    return Math.max(0, MAX_CONSUMERS - (this.#byEpoch.get(epoch)?.size ?? 0));
  }

  opened(epoch: Epoch, consumerIds: readonly ConsumerId[]): void {
    const open = this.#byEpoch.get(epoch) ?? new Set<ConsumerId>();
    this.#byEpoch.set(epoch, open);
    for (const consumerId of consumerIds) open.add(consumerId);
  }

  /** Counts those that came with an admission. */
  openedWith({ epoch, consumers }: Pick<MediaOffer, 'epoch' | 'consumers'>): void {
    this.opened(
      epoch,
      consumers.map(({ consumerId }) => consumerId),
    );
  }

  closed(consumerIds: readonly ConsumerId[]): void {
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
