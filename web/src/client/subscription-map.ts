import type { ConsumerId, RoomTrack, TrackId } from '@plenary/cluster/protocol';
import type { ReceivedPicture } from './large-pictures.ts';
import type { WatchedFlow } from './stalled-tracks.ts';
import type { ReceivedConsumer, Subscription } from './subscription.ts';

/** All subscriptions, by the track that each receives, or is to; in the order in which their consumers came. */
export class SubscriptionMap {
  readonly #byTrack = new Map<TrackId, Subscription>();

  get(trackId: TrackId): Subscription | undefined {
    return this.#byTrack.get(trackId);
  }

  get all(): readonly Subscription[] {
    return [...this.#byTrack.values()];
  }

  /** As the newest of all, under the track that it is for now. */
  put(subscription: Subscription): void {
    this.#byTrack.set(subscription.trackId, subscription);
  }

  remove(subscription: Subscription): void {
    if (this.#byTrack.get(subscription.trackId) === subscription) this.#byTrack.delete(subscription.trackId);
  }

  /** What is received of a track. */
  shownOf(trackId: TrackId): ReceivedConsumer | undefined {
    return this.#byTrack.get(trackId)?.shown;
  }

  /** What is received now. */
  get shown(): readonly ReceivedConsumer[] {
    return this.all.flatMap(({ shown }) => (shown === undefined ? [] : [shown]));
  }

  /** The subscription in which a consumer is to take a place, and has not yet. */
  withNext(consumerId: ConsumerId): Subscription | undefined {
    return this.all.find(({ next }) => next?.offer.consumerId === consumerId);
  }

  /** The tracks that the edge is being asked for. */
  get inFlight(): ReadonlySet<TrackId> {
    return new Set(this.all.flatMap(({ inFlight }) => inFlight));
  }

  /** Pictures that come now. */
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

  /** What ought to flow now, by consumer. @param tracks - as the room has them */
  *flows(tracks: ReadonlyMap<TrackId, RoomTrack>): Iterable<readonly [id: string, flow: WatchedFlow]> {
    for (const { offer, consumer, paused } of this.shown) {
      const { consumerId, trackId, peerId, source } = offer;
      if (paused || tracks.get(trackId)?.paused !== false) continue;
      const stamp = () => consumer.rtpReceiver?.getSynchronizationSources()[0]?.rtpTimestamp;
      yield [consumerId, { trackId, peerId, source, stamp }];
    }
  }
}
