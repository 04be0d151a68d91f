import { Replaceable, type CloseReason } from '@plenary/cluster/make-before-break';
import type {
  ClientReply,
  ConsumerId,
  ConsumerOffer,
  Epoch,
  MediaKind,
  TrackId,
} from '@plenary/cluster/protocol';
import { backOff } from './back-off.ts';
import type { EdgeSession } from './edge-session.ts';
import { faultOfConsumer } from './fault-of-consumer.ts';

export interface ReceivedStream {
  readonly trackId: TrackId;
  readonly kind: MediaKind;
  readonly packets: number;
  /** RTP headers and payloads, without SRTP, UDP and IP. */
  readonly bytes: number;
}

/** A consumer, with what it has received. */
interface ReceivedConsumer {
  readonly offer: ConsumerOffer;
  readonly epoch: Epoch;
  /** Where it is current, or becomes current with its first packet. */
  readonly slot: Replaceable<ReceivedConsumer>;
  readonly attempt: number;
  paused: boolean;
  spatialLayer: number | undefined;
  packets: number;
  bytes: number;
}

/** A requested consumer that is to replace another one. */
interface PendingReplacement {
  readonly slot: Replaceable<ReceivedConsumer>;
  readonly attempt: number;
}

export interface BotReceptionsEnvironment {
  readonly edge: EdgeSession;
  /** The epoch of the media session that is to carry everything. */
  readonly epoch: () => Epoch;
  /** A consumer became current, or ended. */
  readonly changed: () => void;
  readonly note: (problem: string) => void;
}

/** A bot's consumers, and what they receive. */
export class BotReceptions {
  readonly #environment: BotReceptionsEnvironment;
  readonly #byConsumer = new Map<ConsumerId, ReceivedConsumer>();
  readonly #bySsrc = new Map<number, ReceivedConsumer>();
  readonly #endedTracks = new Set<TrackId>();
  /** Tracks whose consumers the bot could not receive: it does not request them again. */
  readonly #failedTracks = new Set<TrackId>();
  #isClosed = false;

  constructor(environment: BotReceptionsEnvironment) {
    this.#environment = environment;
  }

  get size(): number {
    return this.#byConsumer.size;
  }

  get streams(): readonly ReceivedStream[] {
    return [...this.#byConsumer.values()].map(({ offer, packets, bytes }) => ({
      trackId: offer.trackId,
      kind: offer.kind,
      packets,
      bytes,
    }));
  }

  /** Whether the bot was notified that a track has ended. */
  hasEnded(trackId: TrackId): boolean {
    return this.#endedTracks.has(trackId);
  }

  noteEnded(trackId: TrackId): void {
    this.#endedTracks.add(trackId);
  }

  /** Whether a track is received, or has failed. */
  isSettled(trackId: TrackId): boolean {
    return this.#failedTracks.has(trackId) || this.of([trackId]).length > 0;
  }

  /** Whether the newest media session carries everything that flows. */
  get isMoved(): boolean {
    const epoch = this.#environment.epoch();
    return [...this.#byConsumer.values()].every((one) => one.paused || one.epoch === epoch);
  }

  of(trackIds: readonly TrackId[]): readonly ReceivedConsumer[] {
    const wanted = new Set(trackIds);
    return [...this.#byConsumer.values()].filter(({ offer }) => wanted.has(offer.trackId));
  }

  consumersOf(trackIds: readonly TrackId[]): ConsumerId[] {
    return this.of(trackIds).map(({ offer }) => offer.consumerId);
  }

  /** Accepts consumers that the edge offers without a request. */
  take(offers: readonly ConsumerOffer[]): void {
    const epoch = this.#environment.epoch();
    for (const offer of this.#valid(offers, epoch)) this.#expect(offer, epoch);
  }

  /** @returns the consumer of an RTP packet, after counting it */
  count(ssrc: number, bytes: number): ReceivedConsumer | undefined {
    const consumer = this.#bySsrc.get(ssrc);
    if (consumer === undefined) return undefined;
    const { slot, attempt } = consumer;
    if (consumer.packets === 0) slot.dispatch({ type: 'carries', attempt });
    consumer.packets += 1;
    consumer.bytes += bytes;
    return consumer;
  }

  /** @returns the tracks that failed */
  async subscribe(
    trackIds: readonly TrackId[],
    replacements: ReadonlyMap<TrackId, PendingReplacement> = new Map(),
  ): Promise<ClientReply<'subscribe'>['failed']> {
    const { edge } = this.#environment;
    const epoch = this.#environment.epoch();
    try {
      const { consumers, failed } = await edge.request('subscribe', { trackIds: [...trackIds], epoch });
      const changes = this.#valid(consumers, epoch).flatMap((offer) => {
        const { paused, spatialLayer } = this.#expect(offer, epoch, replacements.get(offer.trackId));
        if (offer.paused === paused && spatialLayer === undefined) return [];
        const preferredLayers = spatialLayer === undefined ? {} : { preferredLayers: { spatialLayer } };
        return [{ consumerId: offer.consumerId, paused, ...preferredLayers }];
      });
      if (changes.length > 0) await edge.request('consumers.update', { epoch, consumers: changes });
      return failed;
    } finally {
      for (const { slot, attempt } of replacements.values())
        if (slot.awaits(attempt)) slot.dispatch({ type: 'failed', attempt });
    }
  }

  /** The track will arrive by another path: its consumer is released with the new one's first packet. */
  async superseded(consumerId: ConsumerId, trackId: TrackId): Promise<void> {
    const old = this.#byConsumer.get(consumerId);
    const isCurrent = old !== undefined && old.slot.current === old;
    // A consumer that is being replaced stays until then; one that was to replace another is useless.
    if (!isCurrent || old.slot.state.phase === 'steady') await this.#openReplacement(old, trackId);
  }

  /** Subscribes to a track that replaces another one, whose consumer is released with the new one's first packet. */
  async replace(trackId: TrackId, replaces: TrackId): Promise<void> {
    await this.#openReplacement(this.of([replaces])[0], trackId);
  }

  async #openReplacement(old: ReceivedConsumer | undefined, trackId: TrackId): Promise<void> {
    const replacements = new Map(old === undefined ? [] : [[trackId, restart(old.slot)]]);
    const [failure] = await this.subscribe([trackId], replacements);
    if (failure !== undefined) this.#environment.note(`no other path to ${trackId}: ${failure.error.code}`);
  }

  /** Requests everything on the newest media session too. */
  async move(): Promise<void> {
    const replacements = new Map(
      [...this.#byConsumer.values()]
        .filter((consumer) => consumer.slot.current === consumer)
        .map(({ offer, slot }) => [offer.trackId, restart(slot)]),
    );
    if (replacements.size > 0) await this.subscribe([...replacements.keys()], replacements);
  }

  /** The old media session is closed, and its consumers with it. */
  completeMove(): void {
    const epoch = this.#environment.epoch();
    for (const consumer of [...this.#byConsumer.values()])
      if (consumer.epoch !== epoch && consumer.slot.current === consumer)
        consumer.slot.dispatch({ type: 'lost' });
  }

  /** The node has closed a consumer. @param isWanted - whether to request its track again */
  async closed(consumerId: ConsumerId, trackId: TrackId, isWanted: boolean): Promise<void> {
    const consumer = this.#byConsumer.get(consumerId);
    this.#forget(consumerId);
    if (consumer !== undefined) {
      const { slot, attempt } = consumer;
      if (slot.current === consumer) slot.dispatch({ type: 'lost' });
      else slot.dispatch({ type: 'failed', attempt });
    }
    if (isWanted) await this.#resubscribe(trackId);
  }

  /** Drops its subscriptions to tracks. */
  forget(consumerIds: readonly ConsumerId[]): void {
    const slots = consumerIds.map((consumerId) => this.#byConsumer.get(consumerId)?.slot);
    for (const consumerId of consumerIds) this.#forget(consumerId);
    for (const slot of slots) slot?.dispatch({ type: 'closed' });
    this.#environment.changed();
  }

  close(): void {
    this.#isClosed = true;
  }

  /** Requests a track whose consumer ended, until it is received or the track has ended too. */
  async #resubscribe(trackId: TrackId): Promise<void> {
    const isWanted = (): boolean => !this.#endedTracks.has(trackId) && !this.#failedTracks.has(trackId);
    for (let attempt = 0; !this.#isClosed && isWanted(); attempt += 1) {
      const [failure] = await this.subscribe([trackId]);
      if (failure === undefined || failure.error.code === 'track_not_found') return;
      if (!failure.error.retryable) {
        this.#environment.note(`${trackId}: ${failure.error.code}`);
        return;
      }
      await backOff(attempt);
    }
  }

  /** Accepts the valid offers. It reports the others to the edge, and everything else continues (SPEC MS4, MS48). */
  #valid(offers: readonly ConsumerOffer[], epoch: Epoch): ConsumerOffer[] {
    const { edge, note } = this.#environment;
    return offers.filter((offer) => {
      // If the join and the track's event both request a track, the edge answers with the same consumer.
      if (this.#byConsumer.has(offer.consumerId)) return false;
      const fault = faultOfConsumer(offer, (ssrc) => this.#bySsrc.has(ssrc));
      if (fault === undefined) return true;
      const { consumerId, trackId } = offer;
      this.#failedTracks.add(trackId);
      note(`${trackId} cannot be taken: ${fault}`);
      edge.request('consumer.failed', { consumerId, trackId, epoch }).catch((error: unknown) => {
        note(`telling of a consumer that cannot be taken: ${String(error)}`);
      });
      return false;
    });
  }

  #expect(offer: ConsumerOffer, epoch: Epoch, pending?: PendingReplacement): ReceivedConsumer {
    const { slot, attempt } = pending ?? restart(this.#newSlot());
    const { state } = slot;
    const before = state.phase === 'recovering' ? state.lost : slot.current;
    const consumer: ReceivedConsumer = {
      offer,
      epoch,
      slot,
      attempt,
      paused: before?.paused ?? false,
      spatialLayer: before?.spatialLayer,
      packets: 0,
      bytes: 0,
    };
    this.#byConsumer.set(offer.consumerId, consumer);
    for (const { ssrc } of offer.rtpParameters?.encodings ?? []) {
      if (ssrc !== undefined) this.#bySsrc.set(ssrc, consumer);
    }
    slot.dispatch({ type: 'opened', attempt, item: consumer });
    return consumer;
  }

  #newSlot(): Replaceable<ReceivedConsumer> {
    return new Replaceable<ReceivedConsumer>({
      // The caller sends the request, together with others.
      open: () => undefined,
      // Its first packet shows that it carries.
      watch: () => undefined,
      promote: () => this.#environment.changed(),
      close: (consumer, reason) => this.#close(consumer, reason),
      missing: () => this.#environment.changed(),
    });
  }

  #close({ offer: { consumerId }, epoch }: ReceivedConsumer, reason: CloseReason): void {
    if (!this.#byConsumer.has(consumerId)) return;
    this.#forget(consumerId);
    // Consumers of the old session end with it.
    if (epoch !== this.#environment.epoch() || reason === 'lost' || reason === 'closed') return;
    const { edge, note } = this.#environment;
    edge.request('unsubscribe', { consumerIds: [consumerId], epoch }).catch((error: unknown) => {
      note(`letting a consumer go: ${String(error)}`);
    });
  }

  #forget(consumerId: ConsumerId): void {
    const consumer = this.#byConsumer.get(consumerId);
    if (consumer === undefined) return;
    this.#byConsumer.delete(consumerId);
    for (const [ssrc, known] of [...this.#bySsrc]) if (known === consumer) this.#bySsrc.delete(ssrc);
  }
}

function restart(slot: Replaceable<ReceivedConsumer>): PendingReplacement {
  slot.dispatch({ type: 'restart' });
  return { slot, attempt: slot.state.attempt };
}
