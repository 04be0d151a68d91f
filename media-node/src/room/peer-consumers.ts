import {
  guardCallback,
  MAX_CONSUMERS,
  PlenaryError,
  TOP_SPATIAL_LAYER,
  toPlenaryError,
} from '@plenary/cluster';
import type {
  ConsumerId,
  ConsumerOffer,
  ControlReply,
  ControlRequest,
  PreferredLayers,
  RtpCapabilities,
  Timers,
  TrackHome,
  TrackId,
} from '@plenary/cluster';
import type { ClientTransport, MediaConsumer } from '../engine/engine.ts';
import { SharedDeadline } from './shared-deadline.ts';
import type { TrackHold } from './track-demand.ts';

/**
 * How long a subscription waits for a track of another node, in milliseconds; shorter than the requester's own
 * deadline.
 */
export const PULL_DEADLINE_MS = 3_000;
/**
 * The same wait during an admission. The client needs longer than this to connect its transports, and publishes only
 * after that. Tracks that take longer are still pulled, and the client subscribes to them afterwards.
 */
export const ADMIT_PULL_DEADLINE_MS = 50;
/**
 * How long other tracks are waited for once one is open, in milliseconds: a pipe opens in less than half of it.
 * Without this limit, tracks of a node that has just died would delay all others until the node is known to be dead.
 */
export const STRAGGLERS_MS = 300;
/** How long a consumer continues after its client was asked to replace it, in milliseconds. */
export const SUPERSEDED_FOR_MS = 10_000;

/**
 * Maximum number of consumers of one peer: more than any screen and its voices need. A further track is refused with
 * `limit_reached`.
 */
export const MAX_CONSUMERS_PER_PEER = MAX_CONSUMERS;

export type FailedTrack = ControlReply<'subscribe'>['failed'][number];
export type ConsumerUpdate = ControlRequest<'consumers.update'>['consumers'][number];

export interface SubscriptionPorts {
  readonly rtpCapabilities: RtpCapabilities;
  readonly receive: Promise<Pick<ClientTransport, 'consume'>>;
  /** Makes a track consumable on the peer's router. */
  readonly reach: (track: TrackHome, onSuperseded: () => void) => Promise<TrackHold>;
  readonly timers: Timers;
  /** A consumer ended although the peer did not request it. @param isPathLost - see {@link TrackHold.isPathLost} */
  readonly onConsumerClosed: (consumerId: ConsumerId, trackId: TrackId, isPathLost: boolean) => void;
  /** The client should subscribe again, and close this consumer when the new one plays (SPEC GW6). */
  readonly onSuperseded: (consumerId: ConsumerId, trackId: TrackId) => void;
}

interface Subscription {
  readonly track: TrackHome;
  readonly consumer: MediaConsumer;
  readonly hold: TrackHold;
  /** The highest layer that the peer requested; the consumer sends none above it. */
  spatialLayer: number;
  paused: boolean;
  /** The layers requested last; `undefined` before the first request and after one that failed. */
  layers: PreferredLayers | undefined;
  priority: number | undefined;
  /** Set while the client should replace the consumer: cancels the timer that closes it. */
  cancelEnd: (() => void) | undefined;
}

/** The consumers of one peer: one per track, and beside it those that are being replaced. */
export class PeerConsumers {
  readonly #ports: SubscriptionPorts;
  /**
   * A consumer that is being opened is stored as its promise, so that a repeated `subscribe` cannot make a second
   * one.
   */
  readonly #byTrack = new Map<TrackId, Promise<Subscription>>();
  readonly #byConsumer = new Map<ConsumerId, Subscription>();
  #closed = false;

  constructor(ports: SubscriptionPorts) {
    this.#ports = ports;
  }

  /**
   * Consumes tracks in parallel. A track that cannot be consumed in time is listed as failed and delays no other
   * (SPEC PI20). Never rejects.
   * @param paused - decides which of the new consumers start paused
   * @param deadlineMs - how long tracks of other nodes are waited for while none is open
   */
  async add(
    tracks: readonly TrackHome[],
    paused: (track: TrackHome) => boolean,
    deadlineMs: number,
  ): Promise<{ consumers: ConsumerOffer[]; failed: FailedTrack[] }> {
    const consumers: ConsumerOffer[] = [];
    const failed: FailedTrack[] = [];
    const patience = new SharedDeadline(this.#ports.timers, deadlineMs, STRAGGLERS_MS);
    const results = await Promise.allSettled(
      tracks.map((track) => this.#openOrReuse(track, paused(track), patience)),
    );
    patience.stop();
    results.forEach((result, index) => {
      const track = tracks[index];
      if (result.status === 'fulfilled') {
        consumers.push(offerOf(result.value));
      } else if (track !== undefined) {
        failed.push({ trackId: track.trackId, error: toPlenaryError(result.reason).toWire() });
      }
    });
    return { consumers, failed };
  }

  /** Unknown ids are no error. */
  remove(consumerIds: readonly ConsumerId[]): void {
    for (const consumerId of consumerIds) this.#byConsumer.get(consumerId)?.consumer.close();
  }

  /** Unknown ids are no error. @throws PlenaryError `invalid_media_parameters`, `media_lost` */
  async update(updates: readonly ConsumerUpdate[]): Promise<void> {
    const results = await Promise.allSettled(updates.map((update) => this.#update(update)));
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
    }
  }

  /** Counts the tracks that are not consumed yet. */
  countNew(tracks: readonly TrackHome[]): number {
    return new Set(tracks.map(({ trackId }) => trackId).filter((trackId) => !this.#byTrack.has(trackId)))
      .size;
  }

  /** Counts the consumers that are open, so that they can be closed. */
  countOpen(consumerIds: readonly ConsumerId[]): number {
    return consumerIds.filter((consumerId) => this.#byConsumer.has(consumerId)).length;
  }

  /** Counts the mediasoup calls that the changes take; unchanged values take none. */
  countChanges(updates: readonly ConsumerUpdate[]): number {
    return updates.reduce((sum, update) => {
      const subscription = this.#byConsumer.get(update.consumerId);
      return subscription === undefined ? sum : sum + Object.keys(changesOf(subscription, update)).length;
    }, 0);
  }

  /** The current consumers, for the answer to a repeated admission. */
  offers(): ConsumerOffer[] {
    return [...this.#byConsumer.values()].filter(({ cancelEnd }) => cancelEnd === undefined).map(offerOf);
  }

  /**
   * Announces again which consumers should be replaced: another edge is attached now, and the client may have missed
   * it.
   */
  notifySuperseded(): void {
    for (const { consumer, track, cancelEnd } of this.#byConsumer.values()) {
      if (cancelEnd !== undefined) this.#ports.onSuperseded(consumer.id, track.trackId);
    }
  }

  /** The transport is closing and takes the consumers with it. */
  close(): void {
    this.#closed = true;
    for (const { hold, cancelEnd } of this.#byConsumer.values()) {
      cancelEnd?.();
      hold.release();
    }
    this.#byConsumer.clear();
    this.#byTrack.clear();
  }

  #openOrReuse(track: TrackHome, paused: boolean, patience: SharedDeadline): Promise<Subscription> {
    const known = this.#byTrack.get(track.trackId);
    if (known !== undefined) return patience.within(known, () => undefined);
    if (this.#byTrack.size >= MAX_CONSUMERS_PER_PEER || this.#byConsumer.size >= 2 * MAX_CONSUMERS_PER_PEER) {
      return Promise.reject(
        new PlenaryError('limit_reached', `At most ${MAX_CONSUMERS_PER_PEER} consumers.`),
      );
    }
    const opening = this.#open(track, paused, patience);
    this.#byTrack.set(track.trackId, opening);
    opening.catch(
      guardCallback('background', () => {
        // The caller gets the error in `failed`; the entry is removed so that the next request tries again.
        if (this.#byTrack.get(track.trackId) === opening) this.#byTrack.delete(track.trackId);
      }),
    );
    return opening;
  }

  async #open(track: TrackHome, paused: boolean, patience: SharedDeadline): Promise<Subscription> {
    const { reach, receive, rtpCapabilities } = this.#ports;
    let subscription: Subscription | undefined;
    let [closedAlready, supersededAlready] = [false, false];
    const onSuperseded = (): void => {
      supersededAlready = true;
      if (subscription !== undefined) this.#superseded(subscription);
    };
    const hold = await patience.within(reach(track, onSuperseded), (late) => {
      late.release();
    });
    try {
      const transport = await receive;
      if (this.#closed) throw new PlenaryError('media_lost');
      const consumer = await transport.consume(
        { producerId: hold.producerId, rtpCapabilities, paused },
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
      subscription = {
        track,
        consumer,
        hold,
        spatialLayer: TOP_SPATIAL_LAYER,
        paused,
        layers: undefined,
        priority: undefined,
        cancelEnd: undefined,
      };
      this.#byConsumer.set(consumer.id, subscription);
      applyDemand(subscription);
      if (supersededAlready) this.#superseded(subscription);
      return subscription;
    } catch (error) {
      hold.release();
      throw error;
    }
  }

  #ended(subscription: Subscription, cause: 'closed' | 'producer_closed'): void {
    const { consumer, track, hold, cancelEnd } = subscription;
    hold.release();
    if (!this.#byConsumer.delete(consumer.id)) return;
    if (cancelEnd === undefined) this.#byTrack.delete(track.trackId);
    cancelEnd?.();
    if (cause === 'producer_closed')
      this.#ports.onConsumerClosed(consumer.id, track.trackId, hold.isPathLost());
  }

  /** The next `subscribe` makes another consumer of the track, over the new path; this one continues meanwhile. */
  #superseded(subscription: Subscription): void {
    const { consumer, track } = subscription;
    if (subscription.cancelEnd !== undefined || !this.#byConsumer.has(consumer.id)) return;
    this.#byTrack.delete(track.trackId);
    subscription.cancelEnd = this.#ports.timers.after(SUPERSEDED_FOR_MS, () => {
      consumer.close();
      this.#ports.onConsumerClosed(consumer.id, track.trackId, false);
    });
    this.#ports.onSuperseded(consumer.id, track.trackId);
  }

  async #update(update: ConsumerUpdate): Promise<void> {
    const subscription = this.#byConsumer.get(update.consumerId);
    if (subscription === undefined) return;
    const { consumer } = subscription;
    const { preferredLayers, priority, paused } = changesOf(subscription, update);
    const changes: Promise<void>[] = [];
    if (preferredLayers !== undefined) {
      subscription.layers = preferredLayers;
      subscription.spatialLayer = preferredLayers.spatialLayer;
      const preferring = consumer.setPreferredLayers(preferredLayers);
      changes.push(
        forgetOnFailure(preferring, () => {
          if (subscription.layers === preferredLayers) subscription.layers = undefined;
        }),
      );
    }
    if (priority !== undefined) {
      subscription.priority = priority;
      changes.push(
        forgetOnFailure(consumer.setPriority(priority), () => {
          if (subscription.priority === priority) subscription.priority = undefined;
        }),
      );
    }
    if (paused !== undefined) {
      subscription.paused = paused;
      changes.push(consumer.setPaused(paused));
    }
    if (changes.length === 0) return;
    applyDemand(subscription);
    const results = await Promise.allSettled(changes);
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
    }
  }
}

/** Returns the requested values that differ from the current ones (SPEC BU44). */
function changesOf(
  { layers, priority, paused }: Subscription,
  update: ConsumerUpdate,
): Pick<ConsumerUpdate, 'preferredLayers' | 'priority' | 'paused'> {
  const wanted = update.preferredLayers;
  const isSame =
    layers?.spatialLayer === wanted?.spatialLayer && layers?.temporalLayer === wanted?.temporalLayer;
  return {
    ...(wanted === undefined || (layers !== undefined && isSame) ? {} : { preferredLayers: wanted }),
    ...(update.priority === undefined || update.priority === priority ? {} : { priority: update.priority }),
    ...(update.paused === undefined || update.paused === paused ? {} : { paused: update.paused }),
  };
}

async function forgetOnFailure(change: Promise<void>, forget: () => void): Promise<void> {
  try {
    await change;
  } catch (fault) {
    forget();
    throw fault;
  }
}

/** Updates this peer's demand for the track. */
function applyDemand({ hold, paused, spatialLayer }: Subscription): void {
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
