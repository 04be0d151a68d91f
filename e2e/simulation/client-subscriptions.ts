import type { ConsumerId, Epoch, TrackId } from '@plenary/cluster';
import { Replaceable, type CloseReason } from '@plenary/cluster/make-before-break';
import type { MediaOffer, RoomTrack } from '@plenary/cluster/protocol';
import type { RequestEdge } from './client-requests.ts';

/** How the client wants to receive another peer's track. */
export interface Demand {
  paused: boolean;
}

/** A consumer; `paused` is unknown until an answer confirms it. */
interface SimulatedConsumer {
  readonly consumerId: ConsumerId;
  readonly epoch: Epoch | undefined;
  paused: boolean | undefined;
}

/** The tracks that a simulated client wants, and their consumers. */
export class ClientSubscriptions {
  readonly demands = new Map<TrackId, Demand>();
  readonly #requests: RequestEdge;
  readonly #places = new Map<TrackId, Replaceable<SimulatedConsumer>>();

  constructor(requests: RequestEdge) {
    this.#requests = requests;
  }

  /** The consumer of each track, without those that are being replaced. */
  get consumers(): ReadonlyMap<TrackId, SimulatedConsumer> {
    return new Map(
      [...this.#places].flatMap(([trackId, { state }]) =>
        state.phase === 'steady' ? [[trackId, state.current] as const] : [],
      ),
    );
  }

  watch(trackId: TrackId, demand: Demand): void {
    this.demands.set(trackId, demand);
  }

  unwatch(trackId: TrackId): void {
    this.demands.delete(trackId);
    const place = this.#places.get(trackId);
    if (place === undefined) return;
    this.#places.delete(trackId);
    this.#abandon(place);
  }

  /** The consumers that a new media session brings. */
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

  /** The consumer carries until its track arrives by another path. */
  superseded(consumerId: ConsumerId, trackId: TrackId): void {
    const place = this.#places.get(trackId);
    if (place?.current?.consumerId === consumerId) place.dispatch({ type: 'begin' });
  }

  /** Another media session is to carry everything. */
  move(): void {
    for (const place of this.#places.values()) place.dispatch({ type: 'restart' });
  }

  /** The media session is lost, and all its consumers with it. */
  lost(): void {
    for (const place of this.#places.values()) place.dispatch({ type: 'closed' });
    this.#places.clear();
  }

  /** Whether every wanted track has a consumer. */
  get isSubscribed(): boolean {
    const { consumers } = this;
    return [...this.demands.keys()].every((trackId) => consumers.has(trackId));
  }

  async subscribeMissing(tracks: ReadonlyMap<TrackId, RoomTrack>): Promise<void> {
    for (const { trackId, replaces } of tracks.values()) this.#replaceTrack(replaces, trackId);
    for (const trackId of this.demands.keys()) if (!tracks.has(trackId)) this.demands.delete(trackId);
    const { consumers } = this;
    const trackIds = [...this.demands.keys()].filter((trackId) => !consumers.has(trackId));
    if (trackIds.length === 0) return;
    const epoch = this.#requests.epoch();
    const attempts = new Map(trackIds.map((trackId) => [trackId, this.#begin(trackId)]));
    const reply = await this.#requests.try('subscribe', { trackIds, epoch });
    if (this.#requests.epoch() !== epoch) return;
    for (const { trackId, consumerId, paused } of reply?.consumers ?? []) {
      const item = { consumerId, epoch, paused };
      const { place, attempt } = attempts.get(trackId) ?? this.#begin(trackId);
      // The client dropped the track and wants it again: the edge would answer with the same consumer.
      if (place !== this.#places.get(trackId) && this.demands.has(trackId))
        this.#placeOf(trackId).dispatch({ type: 'given', item });
      else place.dispatch({ type: 'opened', attempt, item });
    }
  }

  async pauseAsWanted(): Promise<void> {
    for (const [trackId, consumer] of this.consumers) {
      const demand = this.demands.get(trackId);
      if (demand === undefined || demand.paused === consumer.paused) continue;
      if (this.consumers.get(trackId) !== consumer) continue;
      const { paused } = demand;
      const { consumerId } = consumer;
      consumer.paused = undefined;
      const reply = await this.#requests.try('consumers.update', {
        consumers: [{ consumerId, paused }],
        epoch: this.#requests.epoch(),
      });
      if (reply !== undefined) consumer.paused = paused;
    }
  }

  /** Moves a demand to the track that replaces its track; the older consumer carries until the newer one does. */
  #replaceTrack(trackId: TrackId | undefined, successor: TrackId): void {
    const demand = trackId === undefined ? undefined : this.demands.get(trackId);
    if (trackId === undefined || demand === undefined) return;
    this.demands.delete(trackId);
    this.demands.set(successor, demand);
    const place = this.#places.get(trackId);
    if (place === undefined) return;
    this.#places.delete(trackId);
    if (this.#places.has(successor)) {
      this.#abandon(place);
      return;
    }
    this.#places.set(successor, place);
    place.dispatch({ type: 'restart' });
  }

  /** Unsubscribes from a track that is no longer wanted. */
  #abandon(place: Replaceable<SimulatedConsumer>): void {
    if (place.current !== undefined) this.#unsubscribe(place.current);
    place.dispatch({ type: 'closed' });
  }

  /** @returns the attempt in progress, which is repeated until it is answered */
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
      // `ClientTracks.pursue` requests the consumer, and retries.
      open: () => undefined,
      // A consumer that exists counts as carrying, since the simulation sends no packets.
      watch: (attempt) => place.dispatch({ type: 'carries', attempt }),
      promote: () => undefined,
      close: (consumer, reason) => this.#close(consumer, reason),
      missing: () => undefined,
    });
    this.#places.set(trackId, place);
    return place;
  }

  #close(consumer: SimulatedConsumer, reason: CloseReason): void {
    // A consumer of an older media session ends with it.
    if (consumer.epoch !== this.#requests.epoch()) return;
    if (reason === 'replaced' || reason === 'abandoned') this.#unsubscribe(consumer);
  }

  #unsubscribe({ consumerId }: SimulatedConsumer): void {
    void this.#requests.try('unsubscribe', {
      consumerIds: [consumerId],
      epoch: this.#requests.epoch(),
    });
  }
}
