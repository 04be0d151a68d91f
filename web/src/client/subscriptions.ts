import { TokenBucket } from '@plenary/cluster/token-bucket';
import { PlenaryError, toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import {
  MAX_SUBSCRIBE_BATCH,
  type ConsumerId,
  type ConsumerOffer,
  type EdgeNotice,
  type MediaKind,
  type PeerId,
  type RoomTrack,
  type TrackId,
  type TrackSource,
} from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog } from './counters.ts';
import { EarlyNews, type ConsumerNews } from './early-news.ts';
import type { ReceivedPicture } from './large-pictures.ts';
import type { Flow } from './media-silence.ts';
import type { MediaSession } from './media-session.ts';
import {
  planSubscriptions,
  withOwnReplacements,
  type ConsumerChange,
  type ConsumerView,
  type SubscriptionPlan,
  type WantedVideo,
} from './plan-subscriptions.ts';
import { playsAsWell } from './plays-as-well.ts';
import { RefusedPictures, type PictureFault } from './refused-pictures.ts';
import type { RequestEdge } from './request-edge.ts';
import type { WatchedFlow } from './stalled-tracks.ts';

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
  /** The transports that it comes by. */
  readonly media: MediaSession;
  paused: boolean;
  spatialLayer: number | undefined;
  hiddenSinceMs: number | undefined;
  /** Its node ended it; its last picture stays until another one takes its place. */
  hasEnded: boolean;
}

/** A consumer, and the track whose consumer is to take its place: the same track, or the one that replaces it. */
interface Replacement {
  readonly old: Subscribed;
  readonly trackId: TrackId;
}

interface Failure {
  readonly attempts: number;
  readonly retryAtMs: number;
}

/**
 * Requests for new tracks and for those that take another one's place, at once and a second, and as many for changes of what is there:
 * what comes meanwhile goes into one request. A peer that publishes, replaces and ends tracks without end, and moves everybody's tiles with
 * them, would otherwise have all in the room ask more than they may, and be dropped for it (SPEC BU22).
 */
const ASKS = { capacity: 8, refillPerSecond: 2 } as const;
/** Requests that end consumers whose place was taken. */
const ENDS = { capacity: 8, refillPerSecond: 1 } as const;
const pageClock = { monotonicMs: () => performance.now() };
/** How long a consumer that is to replace another one may take to play, in milliseconds; the old one goes on for 10 s. */
const REPLACE_WITHIN_MS = 8_000;
/** After a consumer was closed its track is asked for again in once to twice this time, in milliseconds. */
const ASK_AGAIN_MS = 75;
/** The media that a request named is gone: it is to be opened anew, unless the client has newer media already. */
const MEDIA_GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['media_lost', 'stale_epoch']);
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
  /** Tracks whose consumer is being replaced, or takes a place; aborted when the old one has ended already. */
  readonly #replacing = new Map<TrackId, AbortController>();
  readonly #failures = new Map<TrackId, Failure>();
  readonly #earlyNews = new EarlyNews();
  /** Pictures that are too large for a browser. */
  readonly #refused = new RefusedPictures();
  /** Consumers that play already and do not have the place yet that they are to take. */
  readonly #toReplace = new Set<Subscribed>();
  #tracks: ReadonlyMap<TrackId, RoomTrack> = new Map();
  /** As the room has them. */
  #told = this.#tracks;
  #wanted: WantedVideo = 'all';
  #media: MediaSession | undefined;
  #selfPeerId: PeerId | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #planned = false;
  readonly #asks = new TokenBucket(ASKS, pageClock);
  readonly #changes = new TokenBucket(ASKS, pageClock);
  readonly #ends = new TokenBucket(ENDS, pageClock);
  /** Consumers whose tracks come another way now, by track. */
  readonly #superseded = new Map<TrackId, ConsumerId>();
  /** Consumers that nobody needs any more, with the transports that they came by. */
  #useless: readonly Pick<Subscribed, 'offer' | 'media'>[] = [];

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

  /**
   * Gets everything by other transports. What comes by those of before goes on until its place is taken; resolves when
   * each track plays, or cannot be had.
   */
  async move(media: MediaSession): Promise<void> {
    this.#giveUpRequests();
    this.#media = media;
    const all = [...this.#subscribed.values()].map((old) => ({
      old,
      trackId: this.#newestOf(old.offer.trackId),
    }));
    const moved = Promise.all(batches(all).map((batch) => this.#replaceAll(media, batch)));
    this.plan();
    await moved;
  }

  /** The transports of before are gone: what could not be had by the new ones is asked for anew. */
  settle(): void {
    for (const [trackId, { media }] of this.#subscribed) if (media !== this.#media) this.#forget(trackId);
    this.plan();
  }

  /** Gives up all consumers, whose transport is gone; the tracks stay, waiting. */
  detach(): void {
    this.#giveUpRequests();
    this.#media = undefined;
    this.#useless = [];
    this.#subscribed.clear();
    this.#environment.changed();
  }

  #giveUpRequests(): void {
    clearTimeout(this.#timer);
    this.#inFlight.clear();
    for (const oldEnded of this.#replacing.values()) oldEnded.abort();
    this.#replacing.clear();
    this.#superseded.clear();
    this.#failures.clear();
    this.#earlyNews.clear();
  }

  /** @param isHere - whether somebody may still be in the room */
  setTracks(tracks: ReadonlyMap<TrackId, RoomTrack>, isHere: (peerId: PeerId) => boolean): void {
    this.#refused.keep(tracks, isHere);
    if (tracks === this.#told) return;
    this.#told = tracks;
    this.#tracks = withOwnReplacements(tracks);
    for (const trackId of this.#failures.keys()) if (!tracks.has(trackId)) this.#failures.delete(trackId);
    this.#environment.changed();
    this.plan();
  }

  setWanted(wanted: WantedVideo): void {
    this.#wanted = wanted;
    this.plan();
  }

  /** The media node closed a consumer. If its track is still there, it is subscribed to again. */
  consumerClosed({ consumerId, trackId, isWayLost = false }: EdgeNotice<'consumer.closed'>): void {
    const subscribed = this.#subscribed.get(trackId);
    if (subscribed?.offer.consumerId !== consumerId) {
      this.#noteEarly(consumerId, trackId, isWayLost ? 'way_lost' : 'ended');
      return;
    }
    const replacing = this.#replacing.get(trackId);
    if (replacing !== undefined) {
      // Its last picture stays until the new one is there.
      replacing.abort();
      return;
    }
    // So does that of a track whose successor, or other way, is about to be asked for.
    if (this.#newestOf(trackId) !== trackId || this.#superseded.get(trackId) === consumerId)
      subscribed.hasEnded = true;
    else this.#ended(trackId, isWayLost);
  }

  /** The track comes another way now: a new consumer takes the place of this one, as soon as it plays. */
  consumerSuperseded(consumerId: ConsumerId, trackId: TrackId): void {
    if (this.#media === undefined) return;
    if (this.#subscribed.get(trackId)?.offer.consumerId !== consumerId) {
      this.#noteEarly(consumerId, trackId, 'superseded');
      return;
    }
    if (this.#replacing.has(trackId)) return;
    this.#superseded.set(trackId, consumerId);
    this.plan();
  }

  #noteEarly(consumerId: ConsumerId, trackId: TrackId, news: ConsumerNews): void {
    if (this.#inFlight.has(trackId) || this.#replacing.has(trackId)) this.#earlyNews.note(consumerId, news);
  }

  /** The track that is to be received instead of one: itself, unless another one replaces it. */
  #newestOf(trackId: TrackId): TrackId {
    const successor = [...this.#tracks.values()].find(({ replaces }) => replaces === trackId);
    return successor?.trackId ?? trackId;
  }

  #ended(trackId: TrackId, goesOn = false): void {
    this.#forget(trackId);
    // Most often the track's end is about to be told; only if it is not, the track is asked for again.
    const delayMs = goesOn ? 0 : ASK_AGAIN_MS * (1 + Math.random());
    this.#failures.set(trackId, { attempts: 0, retryAtMs: performance.now() + delayMs });
    this.plan();
  }

  get remoteTracks(): ReadonlyMap<TrackId, RemoteTrack> {
    const remote = new Map<TrackId, RemoteTrack>();
    const replaced = new Set([...this.#tracks.values()].map(({ replaces }) => replaces));
    for (const track of this.#tracks.values()) {
      if (track.peerId === this.#selfPeerId || replaced.has(track.trackId)) continue;
      const subscribed =
        this.#subscribed.get(track.trackId) ??
        (track.replaces === undefined ? undefined : this.#subscribed.get(track.replaces));
      const failed = this.#refused.has(track) || this.#failures.get(track.trackId)?.retryAtMs === Infinity;
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

  /** Takes this track no more, nor any picture of its person, for as long as they are here, once that happened before. */
  refusePicture(picture: Pick<RoomTrack, 'trackId' | 'peerId'>, fault: PictureFault): void {
    this.#refused.refuse(picture, fault);
    for (const { offer, media } of [...this.#subscribed.values()]) {
      if (!this.#refused.has(offer)) continue;
      this.#forget(offer.trackId);
      this.#fail(offer.trackId, tooLarge());
      this.#tellFailed(media, offer, tooLarge());
    }
    for (const { offer, media, consumer } of this.#toReplace) {
      if (!this.#refused.has(offer) || consumer.closed) continue;
      consumer.close();
      this.#tellFailed(media, offer, tooLarge());
    }
    this.#environment.changed();
    this.plan();
  }

  /** @throws PlenaryError as {@link MediaSession.consume} */
  async #consume(media: MediaSession, offer: ConsumerOffer): Promise<types.Consumer> {
    if (this.#refused.has(offer)) throw tooLarge();
    return media.consume(offer);
  }

  get consumers(): readonly { readonly offer: ConsumerOffer; readonly consumer: types.Consumer }[] {
    return [...this.#subscribed.values()];
  }

  /** Pictures that come now. */
  *pictures(): Iterable<ReceivedPicture> {
    for (const entry of [...this.#subscribed.values(), ...this.#toReplace]) {
      const { offer, consumer, paused } = entry;
      if (offer.kind !== 'video' || paused || consumer.closed) continue;
      const { trackId, peerId, source } = offer;
      yield { trackId, peerId, source, consumer, isToReplace: this.#toReplace.has(entry) };
    }
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

  /** The same, with whose it is. */
  *watchedFlows(): Iterable<readonly [id: string, flow: WatchedFlow]> {
    const offers = new Map(
      [...this.#subscribed.values()].map(({ offer }) => [offer.consumerId as string, offer]),
    );
    for (const [id, { stamp }] of this.flows()) {
      const offer = offers.get(id);
      if (offer === undefined) continue;
      const { trackId, peerId, source } = offer;
      yield [id, { trackId, peerId, source, stamp }];
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
        retryAtMs: new Map([
          ...[...this.#failures].map(([trackId, { retryAtMs }]) => [trackId, retryAtMs] as const),
          ...[...this.#tracks.values()]
            .filter((track) => this.#refused.has(track))
            .map(({ trackId }) => [trackId, Infinity] as const),
        ]),
        nowMs,
      },
      this.#wanted,
    );
    for (const trackId of plan.drop) this.#forget(trackId);
    const replacements = this.#replacementsOf(plan);
    // Both at one time: neither can keep the other one waiting for good.
    const asks = [plan.subscribe, replacements].filter(({ length }) => length > 0).length;
    const askInMs = asks === 0 ? 0 : this.#asks.takeOrWaitMs(asks);
    if (askInMs === 0) {
      this.#superseded.clear();
      for (const batch of batches(replacements)) void this.#replaceAll(media, batch);
      for (const batch of batches(plan.subscribe)) void this.#subscribe(media, batch);
    }
    const endInMs = this.#useless.length === 0 ? 0 : this.#ends.takeOrWaitMs();
    if (endInMs === 0) this.#letGoOfUseless();
    const changeInMs = plan.update.length === 0 ? 0 : this.#changes.takeOrWaitMs();
    if (changeInMs === 0) for (const batch of batches(plan.update)) void this.#update(media, batch);
    for (const batch of batches(plan.unsubscribe)) {
      for (const { trackId } of batch) this.#forget(trackId);
      this.#letGo(
        media,
        batch.map(({ consumerId }) => consumerId),
      );
    }
    const waits = [askInMs, endInMs, changeInMs]
      .filter((waitMs) => waitMs > 0)
      .map((waitMs) => nowMs + waitMs);
    const nextAtMs = Math.min(plan.nextAtMs ?? Infinity, ...waits);
    if (nextAtMs < Infinity) this.#timer = setTimeout(() => this.plan(), nextAtMs - nowMs + 1);
  }

  /** What is to take a place now: tracks that replace others, and those that come another way. */
  #replacementsOf({ succeed }: SubscriptionPlan): Replacement[] {
    const byOthers = succeed.flatMap(({ trackId, replaces }): Replacement[] => {
      const old = this.#subscribed.get(replaces);
      return old === undefined ? [] : [{ old, trackId }];
    });
    const bySelf = [...this.#superseded].flatMap(([trackId, consumerId]): Replacement[] => {
      const old = this.#subscribed.get(trackId);
      const isOver = this.#replacing.has(trackId) || byOthers.some((other) => other.old === old);
      return old?.offer.consumerId !== consumerId || isOver ? [] : [{ old, trackId }];
    });
    return [...byOthers, ...bySelf];
  }

  /** Handles its own errors: what failed is tried again later, or never where that is hopeless. */
  async #subscribe(media: MediaSession, trackIds: readonly TrackId[]): Promise<void> {
    for (const trackId of trackIds) this.#inFlight.add(trackId);
    try {
      const { consumers, failed } = await this.#environment.request('subscribe', {
        trackIds: [...trackIds],
        epoch: media.epoch,
      });
      if (media !== this.#media) return;
      for (const { trackId, error } of failed) this.#fail(trackId, PlenaryError.fromWire(error));
      await this.#consumeAll(media, consumers);
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (media !== this.#media) return;
      if (MEDIA_GONE.has(error.code) || error.code === 'transport_not_found') this.#environment.mediaLost();
      for (const trackId of trackIds) this.#fail(trackId, error);
    } finally {
      if (media === this.#media) {
        for (const trackId of trackIds) this.#inFlight.delete(trackId);
        if (this.#inFlight.size + this.#replacing.size === 0) this.#earlyNews.clear();
        this.#environment.changed();
        this.plan();
      }
    }
  }

  /** Makes receivers for consumers and resumes those that wait for it. Handles its own errors. */
  async #consumeAll(media: MediaSession, offers: readonly ConsumerOffer[]): Promise<void> {
    const results = await Promise.allSettled(offers.map((offer) => this.#consume(media, offer)));
    if (media !== this.#media) return;
    const toResume: ConsumerChange[] = [];
    const superseded: ConsumerOffer[] = [];
    for (const [index, offer] of offers.entries()) {
      const result = results[index];
      this.#inFlight.delete(offer.trackId);
      if (result?.status !== 'fulfilled') {
        const error = toPlenaryError(result?.reason);
        this.#fail(offer.trackId, error);
        this.#tellFailed(media, offer, error);
        continue;
      }
      const news = this.#earlyNews.take(offer.consumerId);
      if (news === 'ended' || news === 'way_lost') {
        result.value.close();
        this.#ended(offer.trackId, news === 'way_lost');
        continue;
      }
      if (news === 'superseded') superseded.push(offer);
      this.#failures.delete(offer.trackId);
      this.#subscribed.set(offer.trackId, {
        offer,
        consumer: result.value,
        media,
        paused: offer.paused,
        spatialLayer: undefined,
        hiddenSinceMs: undefined,
        hasEnded: false,
      });
      this.#environment.consumed(offer, result.value);
      const visible = offer.kind === 'audio' || this.#wanted === 'all' || this.#wanted.has(offer.trackId);
      if (offer.paused && visible) {
        toResume.push({ trackId: offer.trackId, consumerId: offer.consumerId, paused: false });
      }
    }
    this.#environment.changed();
    for (const batch of batches(toResume)) void this.#update(media, batch);
    for (const { consumerId, trackId } of superseded) this.consumerSuperseded(consumerId, trackId);
    this.plan();
  }

  /** Handles its own errors: where no new consumer is to be had the old one stays, and ends when its node ends it. */
  async #replaceAll(media: MediaSession, replacements: readonly Replacement[]): Promise<void> {
    const started = replacements.map((replacement) => {
      const oldEnded = new AbortController();
      if (replacement.old.hasEnded) oldEnded.abort();
      this.#replacing.set(replacement.old.offer.trackId, oldEnded);
      this.#replacing.set(replacement.trackId, oldEnded);
      return { replacement, oldEnded: oldEnded.signal };
    });
    const opened = await this.#openNext(media, replacements);
    await Promise.all(
      started.map(({ replacement, oldEnded }) =>
        this.#takeOver(media, replacement, opened.get(replacement.trackId), oldEnded),
      ),
    );
  }

  /** Opens what is to take over, and has it flow. Handles its own errors: what failed is not among what it gives. */
  async #openNext(
    media: MediaSession,
    replacements: readonly Replacement[],
  ): Promise<ReadonlyMap<TrackId, Subscribed>> {
    const { request, log } = this.#environment;
    const { epoch } = media;
    const opened = new Map<TrackId, Subscribed>();
    try {
      const trackIds = replacements.map(({ trackId }) => trackId);
      const { consumers, failed } = await request('subscribe', { trackIds, epoch });
      for (const { trackId, error } of failed)
        log.warn(`track ${trackId} could not be had another way`, error.message);
      // In one turn, so that all of them share one negotiation.
      const results = await Promise.allSettled(consumers.map((offer) => this.#consume(media, offer)));
      const toResume: { readonly next: Subscribed; readonly spatialLayer: number | undefined }[] = [];
      for (const [index, offer] of consumers.entries()) {
        const result = results[index];
        const old = replacements.find(({ trackId }) => trackId === offer.trackId)?.old;
        if (result?.status !== 'fulfilled' || old === undefined) {
          log.warn(`track ${offer.trackId} could not be had another way`);
          if (result?.status === 'rejected') this.#tellFailed(media, offer, toPlenaryError(result.reason));
          continue;
        }
        const { hiddenSinceMs, spatialLayer } = old;
        const consumer = result.value;
        const next: Subscribed = {
          offer,
          consumer,
          media,
          paused: offer.paused,
          spatialLayer: undefined,
          hiddenSinceMs,
          hasEnded: false,
        };
        opened.set(offer.trackId, next);
        if (!old.paused && offer.kind === 'video') toResume.push({ next, spatialLayer });
      }
      if (toResume.length === 0) return opened;
      await request('consumers.update', {
        epoch,
        consumers: toResume.map(({ next: { offer }, spatialLayer }) => ({
          consumerId: offer.consumerId,
          paused: false,
          preferredLayers: spatialLayer === undefined ? undefined : { spatialLayer },
        })),
      });
      for (const { next, spatialLayer } of toResume) {
        next.paused = false;
        next.spatialLayer = spatialLayer;
      }
    } catch (thrown) {
      log.warn('tracks could not be had another way', toPlenaryError(thrown).message);
    }
    return opened;
  }

  /** Puts a consumer in the place of another one as soon as it plays as well, and lets go of the one that is needed no more. */
  async #takeOver(
    media: MediaSession,
    { old, trackId }: Replacement,
    next: Subscribed | undefined,
    oldEnded: AbortSignal,
  ): Promise<void> {
    const oldTrackId = old.offer.trackId;
    if (next?.paused === false) {
      this.#toReplace.add(next);
      await playsAsWell(next.consumer, old.consumer, oldEnded, REPLACE_WITHIN_MS, (thrown) => {
        this.#environment.log.warn('the browser gives no statistics', thrown);
      });
      this.#toReplace.delete(next);
    }
    if (media !== this.#media) return;
    this.#replacing.delete(oldTrackId);
    this.#replacing.delete(trackId);
    const news = next === undefined ? undefined : this.#earlyNews.take(next.offer.consumerId);
    const isRefused = next !== undefined && this.#refused.has(next.offer);
    const hasEnded = isRefused || news === 'ended' || news === 'way_lost';
    if (hasEnded) next?.consumer.close();
    // Off the screen for long, or ended, meanwhile: then nobody needs the new one either.
    const isNeeded = this.#subscribed.get(oldTrackId) === old;
    if (next === undefined || hasEnded) {
      if (isNeeded && oldEnded.aborted) this.#ended(oldTrackId);
      // A successor that cannot be had yet is tried again, and the old one goes on meanwhile.
      else if (trackId !== oldTrackId) this.#postpone(trackId, true);
      this.plan();
      return;
    }
    if (isNeeded) {
      this.#subscribed.delete(oldTrackId);
      this.#subscribed.set(trackId, next);
      old.consumer.close();
      this.#environment.changed();
    } else next.consumer.close();
    if (isNeeded && news === 'superseded') this.consumerSuperseded(next.offer.consumerId, trackId);
    this.plan();
    // Its node ended the old one already.
    if (isNeeded && oldEnded.aborted) return;
    // Also by transports that are being left: their publisher may wait for the last one who watches, and so on in a circle.
    this.#useless = [...this.#useless, isNeeded ? old : next];
  }

  #letGoOfUseless(): void {
    const byMedia = new Map<MediaSession, ConsumerId[]>();
    for (const { media, offer } of this.#useless)
      if (!media.closed) byMedia.set(media, [...(byMedia.get(media) ?? []), offer.consumerId]);
    this.#useless = [];
    for (const [media, consumerIds] of byMedia)
      for (const batch of batches(consumerIds)) this.#letGo(media, batch);
  }

  /** A consumer that no receiver can be made for: the edge is to know, and the media node to end it. */
  #tellFailed({ epoch }: MediaSession, { consumerId, trackId }: ConsumerOffer, error: PlenaryError): void {
    if (error.code !== 'cannot_consume') return;
    this.#environment.request('consumer.failed', { consumerId, trackId, epoch }).catch((thrown: unknown) => {
      this.#environment.log.warn('consumer.failed failed', toPlenaryError(thrown).message);
    });
  }

  #letGo({ epoch }: MediaSession, consumerIds: ConsumerId[]): void {
    this.#environment.request('unsubscribe', { consumerIds, epoch }).catch((thrown: unknown) => {
      // They stay on the node, at worst unseen, until media ends.
      this.#environment.log.warn('unsubscribe failed', toPlenaryError(thrown).message);
    });
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
        epoch: media.epoch,
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
      if (MEDIA_GONE.has(error.code)) {
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

const tooLarge = (): PlenaryError =>
  new PlenaryError('cannot_consume', 'The pictures are too large for a browser.');

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
