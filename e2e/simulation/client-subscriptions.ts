import type { ConsumerId, Epoch, TrackId } from '@plenary/cluster';
import { Replaceable, type CloseReason } from '@plenary/cluster/make-before-break';
import type { MediaOffer, RoomTrack } from '@plenary/cluster/protocol';
import type { RequestEdge } from './client-requests.ts';

/** What the client wants of a track of somebody else. */
export interface Demand {
  paused: boolean;
}

/** A consumer; whether it is paused is unknown while no answer said so. */
interface SimulatedConsumer {
  readonly consumerId: ConsumerId;
  readonly epoch: Epoch | undefined;
  paused: boolean | undefined;
}

/** What a simulated client wants of the others, and gets. */
export class ClientSubscriptions {
  readonly demands = new Map<TrackId, Demand>();
  readonly #requests: RequestEdge;
  readonly #places = new Map<TrackId, Replaceable<SimulatedConsumer>>();

  constructor(requests: RequestEdge) {
    this.#requests = requests;
  }

  /** What it consumes of each track, less what is being replaced. */
  get consumers(): ReadonlyMap<TrackId, SimulatedConsumer> {
    return new Map(
      [...this.#places].flatMap(([trackId, { state }]) =>
        state.phase === 'steady' ? [[trackId, state.current] as const] : [],
      ),
    );
  }

  watch(trackId: TrackId, wish: Demand): void {
    this.demands.set(trackId, wish);
  }

  unwatch(trackId: TrackId): void {
    this.demands.delete(trackId);
    const place = this.#places.get(trackId);
    if (place === undefined) return;
    this.#places.delete(trackId);
    this.#end(place);
  }

  /** Consumers that came with media. */
  offered({ consumers, epoch }: MediaOffer): void {
    for (const { trackId, consumerId, paused } of consumers) {
      this.#placeOf(trackId).dispatch({ type: 'given', item: { consumerId, epoch, paused } });
      if (!this.demands.has(trackId)) this.demands.set(trackId, { paused: false });
    }
  }

  closed(consumerId: ConsumerId, trackId: TrackId): void {
    const place = this.#places.get(trackId);
    if (place?.current?.consumerId === consumerId) place.dispatch({ type: 'lost' });
  }

  /** The consumer goes on until its track comes another way. */
  superseded(consumerId: ConsumerId, trackId: TrackId): void {
    const place = this.#places.get(trackId);
    if (place?.current?.consumerId === consumerId) place.dispatch({ type: 'begin' });
  }

  /** Everything is to come by other media. */
  move(): void {
    for (const place of this.#places.values()) place.dispatch({ type: 'begin_anew' });
  }

  /** Nothing comes any more. */
  lost(): void {
    for (const place of this.#places.values()) place.dispatch({ type: 'closed' });
    this.#places.clear();
  }

  /** Whether everything is consumed that is wanted. */
  get isSubscribed(): boolean {
    const { consumers } = this;
    return [...this.demands.keys()].every((trackId) => consumers.has(trackId));
  }

  async subscribeMissing(tracks: ReadonlyMap<TrackId, RoomTrack>): Promise<void> {
    for (const { trackId, replaces } of tracks.values()) this.#succeed(replaces, trackId);
    for (const trackId of this.demands.keys()) if (!tracks.has(trackId)) this.demands.delete(trackId);
    const { consumers } = this;
    const trackIds = [...this.demands.keys()].filter((trackId) => !consumers.has(trackId));
    if (trackIds.length === 0) return;
    const epoch = this.#requests.epoch();
    const asked = new Map(trackIds.map((trackId) => [trackId, this.#begin(trackId)]));
    const reply = await this.#requests.try('subscribe', { trackIds, epoch });
    if (this.#requests.epoch() !== epoch) return;
    for (const { trackId, consumerId, paused } of reply?.consumers ?? []) {
      const item = { consumerId, epoch, paused };
      const { place, attempt } = asked.get(trackId) ?? this.#begin(trackId);
      // No longer wanted, and wanted again, meanwhile: the edge would answer with the same one.
      if (place !== this.#places.get(trackId) && this.demands.has(trackId))
        this.#placeOf(trackId).dispatch({ type: 'given', item });
      else place.dispatch({ type: 'opened', attempt, item });
    }
  }

  async pauseAsWanted(): Promise<void> {
    for (const [trackId, consumer] of this.consumers) {
      const wish = this.demands.get(trackId);
      if (wish === undefined || wish.paused === consumer.paused) continue;
      if (this.consumers.get(trackId) !== consumer) continue;
      const { paused } = wish;
      const { consumerId } = consumer;
      consumer.paused = undefined;
      const reply = await this.#requests.try('consumers.update', {
        consumers: [{ consumerId, paused }],
        epoch: this.#requests.epoch(),
      });
      if (reply !== undefined) consumer.paused = paused;
    }
  }

  /** Who watches a track watches the one that takes its place; the older one goes on until the newer is there. */
  #succeed(trackId: TrackId | undefined, successor: TrackId): void {
    const wish = trackId === undefined ? undefined : this.demands.get(trackId);
    if (trackId === undefined || wish === undefined) return;
    this.demands.delete(trackId);
    this.demands.set(successor, wish);
    const place = this.#places.get(trackId);
    if (place === undefined) return;
    this.#places.delete(trackId);
    if (this.#places.has(successor)) {
      this.#end(place);
      return;
    }
    this.#places.set(successor, place);
    place.dispatch({ type: 'begin_anew' });
  }

  /** Nothing is wanted in a place any more. */
  #end(place: Replaceable<SimulatedConsumer>): void {
    if (place.current !== undefined) this.#letGo(place.current);
    place.dispatch({ type: 'closed' });
  }

  /** @returns the opening under way, which is asked for until it is answered */
  #begin(trackId: TrackId): {
    readonly place: Replaceable<SimulatedConsumer>;
    readonly attempt: number;
  } {
    const place = this.#placeOf(trackId);
    place.dispatch({ type: 'begin' });
    return { place, attempt: place.state.attempt };
  }

  #placeOf(trackId: TrackId): Replaceable<SimulatedConsumer> {
    const known = this.#places.get(trackId);
    if (known !== undefined) return known;
    const place: Replaceable<SimulatedConsumer> = new Replaceable<SimulatedConsumer>({
      // The client asks when it pursues what it wants, and tries again then.
      open: () => undefined,
      // A consumer that is there carries: nothing is seen or heard here.
      watch: (attempt) => place.dispatch({ type: 'carries', attempt }),
      promote: () => undefined,
      close: (consumer, reason) => this.#close(consumer, reason),
      missing: () => undefined,
    });
    this.#places.set(trackId, place);
    return place;
  }

  #close(consumer: SimulatedConsumer, reason: CloseReason): void {
    // What comes by media that is being left, or is gone, ends with it.
    if (consumer.epoch !== this.#requests.epoch()) return;
    if (reason === 'replaced' || reason === 'given_up') this.#letGo(consumer);
  }

  #letGo({ consumerId }: SimulatedConsumer): void {
    void this.#requests.try('unsubscribe', {
      consumerIds: [consumerId],
      epoch: this.#requests.epoch(),
    });
  }
}
