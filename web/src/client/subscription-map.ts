import type { ConsumerId, RoomTrack, TrackId } from '@plenary/cluster/protocol';
import type { ReceivedPicture } from './large-pictures.ts';
import type { WatchedFlow } from './stalled-tracks.ts';
import type { ReceivedConsumer, Subscription } from './subscription.ts';

/** All subscriptions, keyed by their track, in the order in which their consumers opened. */
export class SubscriptionMap {
  readonly #byTrack = new Map<TrackId, Subscription>();

  get(trackId: TrackId): Subscription | undefined {
    return this.#byTrack.get(trackId);
  }

  get all(): readonly Subscription[] {
    return [...this.#byTrack.values()];
  }

  /** Adds a subscription at the end, under its current track. */
  put(subscription: Subscription): void {
    this.#byTrack.set(subscription.trackId, subscription);
  }

  remove(subscription: Subscription): void {
    if (this.#byTrack.get(subscription.trackId) === subscription) this.#byTrack.delete(subscription.trackId);
  }

  /** The shown consumer of a track. */
  shownOf(trackId: TrackId): ReceivedConsumer | undefined {
    return this.#byTrack.get(trackId)?.shown;
  }

  /** All shown consumers. */
  get shown(): readonly ReceivedConsumer[] {
    return this.all.flatMap(({ shown }) => (shown === undefined ? [] : [shown]));
  }

  /** The subscription in which this consumer waits to replace the shown one. */
  withNext(consumerId: ConsumerId): Subscription | undefined {
    return this.all.find(({ next }) => next?.offer.consumerId === consumerId);
  }

  /** Tracks with a pending subscribe request. */
  get inFlight(): ReadonlySet<TrackId> {
    return new Set(this.all.flatMap(({ inFlight }) => inFlight));
  }

  /** Videos that are received now. */
  *pictures(): Iterable<ReceivedPicture> {
    const next = this.all.flatMap((subscription) => subscription.next ?? []);
    for (const [received, isToReplace] of [
      ...this.shown.map((one) => [one, false] as const),
      ...next.map((one) => [one, true] as const),
    ]) {
      const { offer, consumer, paused } = received;
      if (offer.kind !== 'video' || paused || consumer.closed) continue;
      const { trackId, peerId, source } = offer;
      yield { trackId, peerId, source, consumer, isToReplace };
    }
  }

  /** Flows that should carry packets now, by consumer. @param tracks - the tracks of the room */
  *flows(tracks: ReadonlyMap<TrackId, RoomTrack>): Iterable<readonly [id: string, flow: WatchedFlow]> {
    for (const { offer, consumer, paused } of this.shown) {
      const { consumerId, trackId, peerId, source } = offer;
      if (paused || tracks.get(trackId)?.paused !== false) continue;
      const stamp = () => consumer.rtpReceiver?.getSynchronizationSources()[0]?.rtpTimestamp;
      yield [consumerId, { trackId, peerId, source, stamp }];
    }
  }
}
