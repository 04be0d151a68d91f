import { PlenaryError, TOP_SPATIAL_LAYER, toPlenaryError } from '@plenary/cluster';
import type {
  ConsumerId,
  ConsumerOffer,
  ControlReply,
  ControlRequest,
  ErrorCode,
  RtpCapabilities,
  TrackHome,
  TrackId,
} from '@plenary/cluster';
import type { ClientTransport, MediaConsumer } from '../engine/engine.ts';
import { within } from './deadline.ts';
import type { TrackHold } from './track-demand.ts';

/** How long a subscription waits for a track of another node, in milliseconds; shorter than the asker's own wait. */
export const PULL_DEADLINE_MS = 3_000;
/** As {@link PULL_DEADLINE_MS}, in an admission: a node that just died must not hold up who joins meanwhile. */
export const ADMIT_PULL_DEADLINE_MS = 1_000;

type FailedTrack = ControlReply<'subscribe'>['failed'][number];
export type ConsumerUpdate = ControlRequest<'consumers.update'>['consumers'][number];

export interface SubscriptionPorts {
  readonly rtpCapabilities: RtpCapabilities;
  readonly receive: Promise<ClientTransport>;
  /** Makes a track consumable on the peer's router. */
  readonly reach: (track: TrackHome) => Promise<TrackHold>;
  /** A consumer ended although the peer did not ask. */
  readonly onConsumerClosed: (consumerId: ConsumerId, trackId: TrackId) => void;
  readonly onFailed: (code: ErrorCode) => void;
}

interface Subscription {
  readonly track: TrackHome;
  readonly consumer: MediaConsumer;
  readonly hold: TrackHold;
  /** The highest layer that the peer asked for; the consumer sends none above it. */
  spatialLayer: number;
  paused: boolean;
}

/** What one peer consumes: at most one consumer of a track. */
export class Subscriptions {
  readonly #ports: SubscriptionPorts;
  /** One being opened is stored as its promise, so that a repeated `subscribe` cannot make a second consumer. */
  readonly #byTrack = new Map<TrackId, Promise<Subscription>>();
  readonly #byConsumer = new Map<ConsumerId, Subscription>();
  #closed = false;

  constructor(ports: SubscriptionPorts) {
    this.#ports = ports;
  }

  /**
   * Consumes tracks, all at once; what cannot be had is listed and holds up nothing. Never rejects.
   * @param paused - which of the new consumers start paused
   * @param deadlineMs - how long a track of another node is waited for
   */
  async add(
    tracks: readonly TrackHome[],
    paused: (track: TrackHome) => boolean,
    deadlineMs: number,
  ): Promise<{ consumers: ConsumerOffer[]; failed: FailedTrack[] }> {
    const consumers: ConsumerOffer[] = [];
    const failed: FailedTrack[] = [];
    const results = await Promise.allSettled(
      tracks.map((track) => this.#one(track, paused(track), deadlineMs)),
    );
    results.forEach((result, index) => {
      const track = tracks[index];
      if (result.status === 'fulfilled') {
        consumers.push(offerOf(result.value));
      } else if (track !== undefined) {
        const error = toPlenaryError(result.reason);
        this.#ports.onFailed(error.code);
        failed.push({ trackId: track.trackId, error: error.toWire() });
      }
    });
    return { consumers, failed };
  }

  /** Ids that are gone are no error. */
  remove(consumerIds: readonly ConsumerId[]): void {
    for (const consumerId of consumerIds) this.#byConsumer.get(consumerId)?.consumer.close();
  }

  /** Ids that are gone are no error. @throws PlenaryError `invalid_media_parameters`, `media_lost` */
  async update(updates: readonly ConsumerUpdate[]): Promise<void> {
    const results = await Promise.allSettled(updates.map((update) => this.#update(update)));
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
    }
  }

  /** What is consumed now, for the answer to a repeated admission. */
  offers(): ConsumerOffer[] {
    return [...this.#byConsumer.values()].map(offerOf);
  }

  /** The transport is closing and takes the consumers with it. */
  close(): void {
    this.#closed = true;
    for (const subscription of this.#byConsumer.values()) subscription.hold.release();
    this.#byConsumer.clear();
    this.#byTrack.clear();
  }

  #one(track: TrackHome, paused: boolean, deadlineMs: number): Promise<Subscription> {
    const known = this.#byTrack.get(track.trackId);
    if (known !== undefined) return known;
    const opening = this.#open(track, paused, deadlineMs);
    this.#byTrack.set(track.trackId, opening);
    opening.catch(() => {
      // Answered in `failed`; here it is only forgotten, so that the next ask tries anew.
      if (this.#byTrack.get(track.trackId) === opening) this.#byTrack.delete(track.trackId);
    });
    return opening;
  }

  async #open(track: TrackHome, paused: boolean, deadlineMs: number): Promise<Subscription> {
    const { reach, receive, rtpCapabilities } = this.#ports;
    const hold = await within(reach(track), deadlineMs, (late) => {
      late.release();
    });
    const { trackId } = track;
    let subscription: Subscription | undefined;
    let closedAlready = false;
    try {
      const transport = await receive;
      if (this.#closed) throw new PlenaryError('media_lost');
      const consumer = await transport.consume(
        { trackId, rtpCapabilities, paused },
        {
          closed: (cause) => {
            closedAlready = true;
            if (subscription !== undefined) this.#ended(subscription, cause);
          },
        },
      );
      if (closedAlready) throw new PlenaryError('track_not_found');
      if (this.#closed) {
        consumer.close();
        throw new PlenaryError('media_lost');
      }
      subscription = { track, consumer, hold, spatialLayer: TOP_SPATIAL_LAYER, paused };
      this.#byConsumer.set(consumer.id, subscription);
      wish(subscription);
      return subscription;
    } catch (error) {
      hold.release();
      throw error;
    }
  }

  #ended(subscription: Subscription, cause: 'closed' | 'producer_closed'): void {
    const { consumer, track, hold } = subscription;
    hold.release();
    if (!this.#byConsumer.delete(consumer.id)) return;
    this.#byTrack.delete(track.trackId);
    if (cause === 'producer_closed') this.#ports.onConsumerClosed(consumer.id, track.trackId);
  }

  async #update(update: ConsumerUpdate): Promise<void> {
    const subscription = this.#byConsumer.get(update.consumerId);
    if (subscription === undefined) return;
    const { consumer } = subscription;
    const changes: Promise<void>[] = [];
    if (update.preferredLayers !== undefined) {
      subscription.spatialLayer = update.preferredLayers.spatialLayer;
      changes.push(consumer.setPreferredLayers(update.preferredLayers));
    }
    if (update.priority !== undefined) changes.push(consumer.setPriority(update.priority));
    if (update.paused !== undefined) {
      subscription.paused = update.paused;
      changes.push(consumer.setPaused(update.paused));
    }
    wish(subscription);
    const results = await Promise.allSettled(changes);
    for (const result of results) {
      // The track ended while it was being changed: what `consumer.closed` says already.
      if (result.status === 'rejected' && !consumer.closed) throw result.reason;
    }
  }
}

/** Tells the track's hold what this peer wants of it now. */
function wish({ hold, paused, spatialLayer }: Subscription): void {
  hold.setWanted(paused ? null : spatialLayer);
}

function offerOf({ track, consumer }: Subscription): ConsumerOffer {
  return {
    consumerId: consumer.id,
    trackId: track.trackId,
    peerId: track.peerId,
    kind: consumer.kind,
    source: track.source,
    rtpParameters: consumer.rtpParameters,
    paused: consumer.paused,
    producerPaused: consumer.producerPaused,
  };
}
