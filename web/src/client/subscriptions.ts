import { PlenaryError, toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import {
  MAX_SUBSCRIBE_BATCH,
  type ConsumerId,
  type ConsumerOffer,
  type MediaKind,
  type PeerId,
  type RoomTrack,
  type TrackId,
  type TrackSource,
} from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog } from './counters.ts';
import { firstMedia } from './first-media.ts';
import type { Flow } from './media-silence.ts';
import type { MediaSession } from './media-session.ts';
import {
  planSubscriptions,
  type ConsumerChange,
  type ConsumerView,
  type WantedVideo,
} from './plan-subscriptions.ts';
import type { RequestEdge } from './request-edge.ts';

/** A track of somebody else, as the screen needs it. */
export interface RemoteTrack {
  readonly trackId: TrackId;
  readonly peerId: PeerId;
  readonly source: TrackSource;
  readonly kind: MediaKind;
  /** Present while it is received. */
  readonly mediaTrack: MediaStreamTrack | undefined;
  /** `waiting` also while media is being re-opened; `hidden` while it is paused because nobody looks at it. */
  readonly status: 'waiting' | 'live' | 'hidden' | 'failed';
  /** The publisher's own mute. */
  readonly publisherPaused: boolean;
}

interface Subscribed {
  readonly offer: ConsumerOffer;
  readonly consumer: types.Consumer;
  paused: boolean;
  spatialLayer: number | undefined;
  hiddenSinceMs: number | undefined;
}

interface Failure {
  readonly attempts: number;
  readonly retryAtMs: number;
}

/** How long a consumer that is to replace another one may take to play, in milliseconds; the old one goes on for 10 s. */
const REPLACE_WITHIN_MS = 8_000;
/** After a consumer was closed its track is asked for again in once to twice this time, in milliseconds. */
const ASK_AGAIN_MS = 75;
/** Errors that may pass although the table calls them final: the track may not have reached its node yet. */
const WORTH_RETRYING: readonly ErrorCode[] = ['track_not_found'];
const MAX_UNSURE_ATTEMPTS = 5;

export interface SubscriptionsEnvironment {
  readonly request: RequestEdge;
  readonly changed: () => void;
  /** The media node no longer knows this client. */
  readonly mediaLost: () => void;
  readonly consumed: (offer: ConsumerOffer, consumer: types.Consumer) => void;
  readonly log: ClientLog;
}

/** Keeps the consumers in line with the room and with what is on the screen. */
export class Subscriptions {
  readonly #environment: SubscriptionsEnvironment;
  readonly #subscribed = new Map<TrackId, Subscribed>();
  readonly #inFlight = new Set<TrackId>();
  /** Tracks whose consumer is being replaced; aborted when the old one has ended already. */
  readonly #replacing = new Map<TrackId, AbortController>();
  readonly #failures = new Map<TrackId, Failure>();
  #tracks: ReadonlyMap<TrackId, RoomTrack> = new Map();
  #wanted: WantedVideo = 'all';
  #media: MediaSession | undefined;
  #selfPeerId: PeerId | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #planned = false;

  constructor(environment: SubscriptionsEnvironment) {
    this.#environment = environment;
  }

  /** Begins with new transports. The offered consumers flow already; resolves once their receivers stand. */
  async attach(media: MediaSession, selfPeerId: PeerId, offers: readonly ConsumerOffer[]): Promise<void> {
    this.detach();
    this.#media = media;
    this.#selfPeerId = selfPeerId;
    for (const offer of offers) this.#inFlight.add(offer.trackId);
    this.plan();
    // In one turn, so that all of them share one negotiation.
    await this.#consumeAll(media, offers);
  }

  /** Gives up all consumers, whose transport is gone; the tracks stay, waiting. */
  detach(): void {
    clearTimeout(this.#timer);
    this.#media = undefined;
    this.#subscribed.clear();
    this.#inFlight.clear();
    for (const oldEnded of this.#replacing.values()) oldEnded.abort();
    this.#replacing.clear();
    this.#failures.clear();
    this.#environment.changed();
  }

  setTracks(tracks: ReadonlyMap<TrackId, RoomTrack>): void {
    if (tracks === this.#tracks) return;
    this.#tracks = tracks;
    for (const trackId of this.#failures.keys()) if (!tracks.has(trackId)) this.#failures.delete(trackId);
    this.#environment.changed();
    this.plan();
  }

  setWanted(wanted: WantedVideo): void {
    this.#wanted = wanted;
    this.plan();
  }

  /** The media node closed a consumer. If its track is still there, it is subscribed to again. */
  consumerClosed(consumerId: ConsumerId, trackId: TrackId): void {
    const subscribed = this.#subscribed.get(trackId);
    if (subscribed?.offer.consumerId !== consumerId) return;
    const replacing = this.#replacing.get(trackId);
    if (replacing !== undefined) {
      // Its last picture stays until the new one is there.
      replacing.abort();
      return;
    }
    this.#ended(trackId);
  }

  /** The track comes another way now: a new consumer takes the place of this one, as soon as it plays. */
  consumerSuperseded(consumerId: ConsumerId, trackId: TrackId): void {
    const media = this.#media;
    const old = this.#subscribed.get(trackId);
    if (media === undefined || old?.offer.consumerId !== consumerId || this.#replacing.has(trackId)) return;
    const oldEnded = new AbortController();
    this.#replacing.set(trackId, oldEnded);
    void this.#replace(media, old, oldEnded.signal);
  }

  #ended(trackId: TrackId): void {
    this.#forget(trackId);
    // Most often the track's end is about to be told; only if it is not, the track is asked for again.
    const delayMs = ASK_AGAIN_MS * (1 + Math.random());
    this.#failures.set(trackId, { attempts: 0, retryAtMs: performance.now() + delayMs });
    this.plan();
  }

  get remoteTracks(): ReadonlyMap<TrackId, RemoteTrack> {
    const remote = new Map<TrackId, RemoteTrack>();
    for (const track of this.#tracks.values()) {
      if (track.peerId === this.#selfPeerId) continue;
      const subscribed = this.#subscribed.get(track.trackId);
      const failed = this.#failures.get(track.trackId)?.retryAtMs === Infinity;
      remote.set(track.trackId, {
        trackId: track.trackId,
        peerId: track.peerId,
        source: track.source,
        kind: track.kind,
        mediaTrack: subscribed?.consumer.track,
        status:
          subscribed === undefined ? (failed ? 'failed' : 'waiting') : subscribed.paused ? 'hidden' : 'live',
        publisherPaused: track.paused,
      });
    }
    return remote;
  }

  get consumers(): readonly { readonly offer: ConsumerOffer; readonly consumer: types.Consumer }[] {
    return [...this.#subscribed.values()];
  }

  /** What ought to flow now, by consumer. */
  *flows(): Iterable<readonly [id: string, flow: Flow]> {
    for (const [trackId, { offer, consumer, paused }] of this.#subscribed) {
      if (paused || this.#tracks.get(trackId)?.paused !== false) continue;
      yield [
        offer.consumerId,
        { stamp: () => consumer.rtpReceiver?.getSynchronizationSources()[0]?.rtpTimestamp },
      ];
    }
  }

  /** Plans in the next turn, once for however many changes come in this one. */
  plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.#act();
    });
  }

  #act(): void {
    const media = this.#media;
    if (media === undefined || media.closed || this.#selfPeerId === undefined) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    const plan = planSubscriptions(
      {
        selfPeerId: this.#selfPeerId,
        tracks: this.#tracks,
        consumers: new Map([...this.#subscribed].map(([trackId, entry]) => [trackId, viewOf(entry)])),
        inFlight: new Set([...this.#inFlight, ...this.#replacing.keys()]),
        retryAtMs: new Map([...this.#failures].map(([trackId, { retryAtMs }]) => [trackId, retryAtMs])),
        nowMs,
      },
      this.#wanted,
    );
    for (const trackId of plan.drop) this.#forget(trackId);
    for (const batch of batches(plan.subscribe)) void this.#subscribe(media, batch);
    for (const batch of batches(plan.update)) void this.#update(media, batch);
    for (const batch of batches(plan.unsubscribe)) {
      for (const { trackId } of batch) this.#forget(trackId);
      this.#environment
        .request('unsubscribe', { consumerIds: batch.map(({ consumerId }) => consumerId) })
        .catch((thrown: unknown) => {
          // They stay paused on the node, where they cost next to nothing, until media ends.
          this.#environment.log.warn('unsubscribe failed', toPlenaryError(thrown).message);
        });
    }
    if (plan.nextAtMs !== undefined) {
      this.#timer = setTimeout(
        () => {
          this.plan();
        },
        plan.nextAtMs - nowMs + 1,
      );
    }
  }

  /** Handles its own errors: what failed is tried again later, or never where that is hopeless. */
  async #subscribe(media: MediaSession, trackIds: readonly TrackId[]): Promise<void> {
    for (const trackId of trackIds) this.#inFlight.add(trackId);
    try {
      const { consumers, failed } = await this.#environment.request('subscribe', { trackIds: [...trackIds] });
      if (media !== this.#media) return;
      for (const { trackId, error } of failed) this.#fail(trackId, PlenaryError.fromWire(error));
      await this.#consumeAll(media, consumers);
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (media !== this.#media) return;
      if (error.code === 'media_lost' || error.code === 'transport_not_found') this.#environment.mediaLost();
      for (const trackId of trackIds) this.#fail(trackId, error);
    } finally {
      if (media === this.#media) {
        for (const trackId of trackIds) this.#inFlight.delete(trackId);
        this.#environment.changed();
        this.plan();
      }
    }
  }

  /** Makes receivers for consumers and resumes those that wait for it. Handles its own errors. */
  async #consumeAll(media: MediaSession, offers: readonly ConsumerOffer[]): Promise<void> {
    const results = await Promise.allSettled(offers.map((offer) => media.consume(offer)));
    if (media !== this.#media) return;
    const toResume: ConsumerChange[] = [];
    for (const [index, offer] of offers.entries()) {
      const result = results[index];
      this.#inFlight.delete(offer.trackId);
      if (result?.status !== 'fulfilled') {
        this.#fail(offer.trackId, toPlenaryError(result?.reason));
        continue;
      }
      this.#failures.delete(offer.trackId);
      this.#subscribed.set(offer.trackId, {
        offer,
        consumer: result.value,
        paused: offer.paused,
        spatialLayer: undefined,
        hiddenSinceMs: undefined,
      });
      this.#environment.consumed(offer, result.value);
      const visible = offer.kind === 'audio' || this.#wanted === 'all' || this.#wanted.has(offer.trackId);
      if (offer.paused && visible) {
        toResume.push({ trackId: offer.trackId, consumerId: offer.consumerId, paused: false });
      }
    }
    this.#environment.changed();
    for (const batch of batches(toResume)) void this.#update(media, batch);
    this.plan();
  }

  /** Handles its own errors: where no new consumer is to be had the old one stays, and ends when the node ends it. */
  async #replace(media: MediaSession, old: Subscribed, oldEnded: AbortSignal): Promise<void> {
    const { trackId, consumerId } = old.offer;
    const next = await this.#openNext(media, old, oldEnded);
    if (media !== this.#media) return;
    this.#replacing.delete(trackId);
    // Off the screen for long, or ended, meanwhile: then nobody needs the new one either.
    const isNeeded = this.#subscribed.get(trackId) === old;
    if (next === undefined) {
      if (isNeeded && oldEnded.aborted) this.#ended(trackId);
      return;
    }
    const toEnd = isNeeded ? consumerId : next.offer.consumerId;
    if (isNeeded) {
      this.#subscribed.set(trackId, next);
      old.consumer.close();
      this.#environment.changed();
    } else next.consumer.close();
    this.plan();
    this.#environment.request('unsubscribe', { consumerIds: [toEnd] }).catch((thrown: unknown) => {
      this.#environment.log.warn('unsubscribe failed', toPlenaryError(thrown).message);
    });
  }

  async #openNext(
    media: MediaSession,
    old: Subscribed,
    oldEnded: AbortSignal,
  ): Promise<Subscribed | undefined> {
    const { request, log } = this.#environment;
    const { trackId } = old.offer;
    let next: Subscribed | undefined;
    try {
      const { consumers, failed } = await request('subscribe', { trackIds: [trackId] });
      const [offer] = consumers;
      if (offer === undefined) {
        log.warn(`track ${trackId} could not be had another way`, failed[0]?.error.message ?? '');
        return undefined;
      }
      const consumer = await media.consume(offer);
      const { paused, spatialLayer, hiddenSinceMs } = old;
      next = { offer, consumer, paused: offer.paused, spatialLayer: undefined, hiddenSinceMs };
      if (paused) return next;
      const preferredLayers = spatialLayer === undefined ? undefined : { spatialLayer };
      await request('consumers.update', {
        consumers: [{ consumerId: offer.consumerId, paused: false, preferredLayers }],
      });
      next.paused = false;
      next.spatialLayer = spatialLayer;
      await firstMedia(consumer, oldEnded, REPLACE_WITHIN_MS);
    } catch (thrown) {
      log.warn(`track ${trackId} could not be had another way`, toPlenaryError(thrown).message);
    }
    return next;
  }

  /** Handles its own errors: a change that did not get through is undone here and planned again. */
  async #update(media: MediaSession, changes: readonly ConsumerChange[]): Promise<void> {
    const before = new Map<TrackId, ConsumerView>();
    for (const change of changes) {
      const entry = this.#subscribed.get(change.trackId);
      if (entry === undefined) continue;
      before.set(change.trackId, viewOf(entry));
      if (change.paused !== undefined) {
        entry.paused = change.paused;
        entry.hiddenSinceMs = change.paused ? performance.now() : undefined;
      }
      if (change.preferredLayers !== undefined) entry.spatialLayer = change.preferredLayers.spatialLayer;
    }
    this.#environment.changed();
    try {
      await this.#environment.request('consumers.update', {
        consumers: changes.map(({ consumerId, paused, preferredLayers }) => ({
          consumerId,
          paused,
          preferredLayers,
        })),
      });
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      this.#environment.log.warn('consumers.update failed', error.message);
      if (media !== this.#media) return;
      if (error.code === 'media_lost') {
        this.#environment.mediaLost();
        return;
      }
      for (const [trackId, view] of before) {
        const entry = this.#subscribed.get(trackId);
        if (entry === undefined) continue;
        entry.paused = view.paused;
        entry.spatialLayer = view.spatialLayer;
      }
      this.#environment.changed();
      // The delay keeps a refused change from being repeated as fast as the edge can answer.
      this.#timer = setTimeout(
        () => {
          this.plan();
        },
        RETRY_BACKOFF.baseMs + fullJitterMs(1, RETRY_BACKOFF, Math.random()),
      );
    }
  }

  #fail(trackId: TrackId, error: PlenaryError): void {
    const attempts = this.#failures.get(trackId)?.attempts ?? 0;
    this.#postpone(
      trackId,
      error.retryable || (WORTH_RETRYING.includes(error.code) && attempts < MAX_UNSURE_ATTEMPTS),
    );
    this.#environment.log.warn(`track ${trackId} could not be had`, error.message);
  }

  #postpone(trackId: TrackId, worthIt: boolean): void {
    const attempts = (this.#failures.get(trackId)?.attempts ?? 0) + 1;
    const delayMs = worthIt ? 100 + fullJitterMs(attempts, RETRY_BACKOFF, Math.random()) : Infinity;
    this.#failures.set(trackId, { attempts, retryAtMs: performance.now() + delayMs });
  }

  #forget(trackId: TrackId): void {
    this.#subscribed.get(trackId)?.consumer.close();
    this.#subscribed.delete(trackId);
    this.#failures.delete(trackId);
    this.#environment.changed();
  }
}

function viewOf(entry: Subscribed): ConsumerView {
  return {
    consumerId: entry.offer.consumerId,
    paused: entry.paused,
    spatialLayer: entry.spatialLayer,
    hiddenSinceMs: entry.hiddenSinceMs,
  };
}

function batches<Item>(items: readonly Item[]): Item[][] {
  const result: Item[][] = [];
  for (let start = 0; start < items.length; start += MAX_SUBSCRIBE_BATCH) {
    result.push(items.slice(start, start + MAX_SUBSCRIBE_BATCH));
  }
  return result;
}
