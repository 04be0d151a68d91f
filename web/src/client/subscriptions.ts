import { PlenaryError, toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import type {
  ConsumerId,
  ConsumerOffer,
  EdgeNotice,
  PeerId,
  RoomTrack,
  TrackId,
} from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import { batches } from './batches.ts';
import { noteChanges, requestChanges } from './change-consumers.ts';
import { ConsumerRequests } from './consumer-requests.ts';
import type { ClientLog } from './counters.ts';
import { EarlyNews, type ConsumerNews } from './early-news.ts';
import type { ReceivedPicture } from './large-pictures.ts';
import type { MediaSession } from './media-session.ts';
import { openReplacements } from './open-replacements.ts';
import {
  planSubscriptions,
  withOwnReplacements,
  type ConsumerChange,
  type SubscriptionPlan,
  type WantedVideo,
} from './plan-subscriptions.ts';
import { Pace } from './pace.ts';
import { RefusedPictures, type PictureFault } from './refused-pictures.ts';
import { remoteTracksOf, type RemoteTrack } from './remote-tracks.ts';
import type { RequestEdge } from './request-edge.ts';
import { RetryTimes } from './retry-times.ts';
import type { WatchedFlow } from './stalled-tracks.ts';
import { SubscriptionMap } from './subscription-map.ts';
import { Subscription, newReceived, viewOf, type Received } from './subscription.ts';

/** A subscription, and the track whose consumer is to take its place: the same track, or the one that replaces it. */
interface Replacement {
  readonly subscription: Subscription;
  readonly trackId: TrackId;
}

/** One that the edge is being asked for. */
interface AskedReplacement extends Replacement {
  readonly attempt: number;
  readonly old: Received | undefined;
}

/**
 * Requests for new tracks and for those that take another one's place, at once and a second, and as many for changes of what is there:
 * what comes meanwhile goes into one request. A peer that publishes, replaces and ends tracks without end, and moves everybody's tiles with
 * them, would otherwise have all in the room ask more than they may, and be dropped for it (SPEC BU22).
 */
const ASKS = { atOnce: 8, aSecond: 2 } as const;
/** The media that a request named is gone: it is to be opened anew, unless the client has newer media already. */
const MEDIA_GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['media_lost', 'stale_epoch']);

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
  readonly #subscriptions = new SubscriptionMap();
  readonly #retryTimes = new RetryTimes();
  readonly #earlyNews = new EarlyNews();
  /** Pictures that are too large for a browser. */
  readonly #refused = new RefusedPictures();
  readonly #requests: ConsumerRequests;
  #tracks: ReadonlyMap<TrackId, RoomTrack> = new Map();
  /** As the room has them. */
  #told = this.#tracks;
  #wanted: WantedVideo = 'all';
  #media: MediaSession | undefined;
  #selfPeerId: PeerId | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #planned = false;
  readonly #asks = new Pace(ASKS);
  readonly #changes = new Pace(ASKS);

  constructor(environment: SubscriptionsEnvironment) {
    this.#environment = environment;
    this.#requests = new ConsumerRequests(environment.request, environment.log);
  }

  /** Begins with new transports. The offered consumers flow already; resolves once their receivers stand. */
  async attach(media: MediaSession, selfPeerId: PeerId, offers: readonly ConsumerOffer[]): Promise<void> {
    this.detach();
    this.#media = media;
    this.#selfPeerId = selfPeerId;
    for (const { trackId } of offers) this.#ask(trackId);
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
    const { all } = this.#subscriptions;
    for (const subscription of all) if (subscription.shown === undefined) this.#drop(subscription);
    const received = all.filter(({ shown }) => shown !== undefined);
    const replacements = received.map((subscription) => ({
      subscription,
      trackId: this.#newestOf(subscription.trackId),
    }));
    const moved = Promise.all(batches(replacements).map((batch) => this.#replaceAll(media, batch)));
    this.plan();
    await moved;
  }

  /** The transports of before are gone: what could not be had by the new ones is asked for anew. */
  settle(): void {
    for (const subscription of this.#subscriptions.all) {
      if (subscription.shown === undefined || subscription.shown.media === this.#media) continue;
      if (subscription.isBegun) subscription.lost();
      else this.#forget(subscription);
    }
    this.#environment.changed();
    this.plan();
  }

  /** Gives up all consumers, whose transport is gone; the tracks stay, waiting. */
  detach(): void {
    this.#giveUpRequests();
    this.#media = undefined;
    for (const subscription of this.#subscriptions.all) this.#drop(subscription);
    this.#requests.clear();
    this.#environment.changed();
  }

  #giveUpRequests(): void {
    clearTimeout(this.#timer);
    this.#retryTimes.clear();
    this.#earlyNews.clear();
  }

  /** @param isHere - whether somebody may still be in the room */
  setTracks(tracks: ReadonlyMap<TrackId, RoomTrack>, isHere: (peerId: PeerId) => boolean): void {
    this.#refused.keep(tracks, isHere);
    if (tracks === this.#told) return;
    this.#told = tracks;
    this.#tracks = withOwnReplacements(tracks);
    this.#retryTimes.keep(tracks);
    this.#environment.changed();
    this.plan();
  }

  setWanted(wanted: WantedVideo): void {
    this.#wanted = wanted;
    this.plan();
  }

  /** The media node closed a consumer. If its track is still there, it is subscribed to again. */
  consumerClosed({ consumerId, trackId, isWayLost = false }: EdgeNotice<'consumer.closed'>): void {
    const subscription = this.#subscriptions.get(trackId);
    const next = this.#subscriptions.withNext(consumerId);
    if (next?.next !== undefined) {
      next.next.hasEnded = true;
      this.#notReplaced(next);
    } else if (subscription?.shown?.offer.consumerId !== consumerId)
      this.#noteEarly(consumerId, trackId, isWayLost ? 'way_lost' : 'ended');
    else {
      // The last picture of a track whose successor is about to be asked for stays until that is there.
      if (this.#newestOf(trackId) !== trackId) subscription.begin();
      const goesOn = subscription.isBegun;
      subscription.lost();
      if (goesOn) this.plan();
      else this.#ended(trackId, isWayLost);
    }
  }

  /** The track comes another way now: a new consumer takes the place of this one, as soon as it plays. */
  consumerSuperseded(consumerId: ConsumerId, trackId: TrackId): void {
    if (this.#media === undefined) return;
    const subscription = this.#subscriptions.get(trackId);
    const next = this.#subscriptions.withNext(consumerId)?.next;
    if (next !== undefined) next.isSuperseded = true;
    else if (subscription?.shown?.offer.consumerId !== consumerId)
      this.#noteEarly(consumerId, trackId, 'superseded');
    else if (!subscription.isAsked) this.#supersede(subscription, subscription.shown);
  }

  /** Asks for its track another way, together with whatever else is to be asked for. */
  #supersede(subscription: Subscription, shown: Received): void {
    shown.isSuperseded = true;
    subscription.begin();
    this.plan();
  }

  #noteEarly(consumerId: ConsumerId, trackId: TrackId, news: ConsumerNews): void {
    if (this.#subscriptions.inFlight.has(trackId)) this.#earlyNews.note(consumerId, news);
  }

  /** The track that is to be received instead of one: itself, unless another one replaces it. */
  #newestOf(trackId: TrackId): TrackId {
    const successor = [...this.#tracks.values()].find(({ replaces }) => replaces === trackId);
    return successor?.trackId ?? trackId;
  }

  #ended(trackId: TrackId, goesOn = false): void {
    this.#retryTimes.ended(trackId, goesOn);
    this.plan();
  }

  get remoteTracks(): ReadonlyMap<TrackId, RemoteTrack> {
    return remoteTracksOf({
      selfPeerId: this.#selfPeerId,
      tracks: this.#tracks,
      received: (trackId) => {
        const shown = this.#subscriptions.shownOf(trackId);
        return shown?.consumer.closed === true ? undefined : shown;
      },
      isHopeless: (track) => this.#refused.has(track) || this.#retryTimes.isHopeless(track.trackId),
    });
  }

  /** Takes this track no more, nor any picture of its person, for as long as they are here, once that happened before. */
  refusePicture(picture: Pick<RoomTrack, 'trackId' | 'peerId'>, fault: PictureFault): void {
    this.#refused.refuse(picture, fault);
    for (const subscription of this.#subscriptions.all) {
      const { shown, next } = subscription;
      if (next !== undefined && this.#refused.has(next.offer)) {
        next.hasEnded = true;
        this.#requests.tellFailed(next.media, next.offer, tooLarge());
        this.#notReplaced(subscription);
      }
      if (shown === undefined || !this.#refused.has(shown.offer)) continue;
      this.#forget(subscription);
      this.#fail(shown.offer.trackId, tooLarge());
      this.#requests.tellFailed(shown.media, shown.offer, tooLarge());
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
    return this.#subscriptions.shown;
  }

  /** Pictures that come now. */
  pictures(): Iterable<ReceivedPicture> {
    return this.#subscriptions.pictures();
  }

  /** What ought to flow now, by consumer. */
  flows(): Iterable<readonly [id: string, flow: WatchedFlow]> {
    return this.#subscriptions.flows(this.#tracks);
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
    const selfPeerId = this.#selfPeerId;
    if (media === undefined || media.closed || selfPeerId === undefined) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    const plan = this.#planNow(selfPeerId, nowMs);
    for (const trackId of plan.drop) this.#forgetTrack(trackId);
    const replacements = this.#replacementsOf(plan);
    // Both at one time: neither can keep the other one waiting for good.
    const asks = [plan.subscribe, replacements].filter(({ length }) => length > 0).length;
    const askInMs = asks === 0 ? 0 : this.#asks.takeOrWaitMs(nowMs, asks);
    if (askInMs === 0) {
      for (const batch of batches(replacements)) void this.#replaceAll(media, batch);
      for (const batch of batches(plan.subscribe)) void this.#subscribe(media, batch);
    }
    const endInMs = this.#requests.release(nowMs);
    const changeInMs = plan.update.length === 0 ? 0 : this.#changes.takeOrWaitMs(nowMs);
    if (changeInMs === 0) for (const batch of batches(plan.update)) void this.#update(media, batch);
    for (const batch of batches(plan.unsubscribe)) {
      for (const { trackId } of batch) this.#forgetTrack(trackId);
      this.#requests.letGo(
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

  #planNow(selfPeerId: PeerId, nowMs: number): SubscriptionPlan {
    const refused = [...this.#tracks.values()].filter((track) => this.#refused.has(track));
    return planSubscriptions(
      {
        selfPeerId,
        tracks: this.#tracks,
        consumers: new Map(
          this.#subscriptions.shown.map((received) => [received.offer.trackId, viewOf(received)]),
        ),
        inFlight: this.#subscriptions.inFlight,
        retryAtMs: new Map([
          ...this.#retryTimes,
          ...refused.map(({ trackId }) => [trackId, Infinity] as const),
        ]),
        nowMs,
      },
      this.#wanted,
    );
  }

  /** What is to take a place now: tracks that replace others, and those that come another way. */
  #replacementsOf({ succeed }: SubscriptionPlan): Replacement[] {
    const byOthers = succeed.flatMap(({ trackId, replaces }): Replacement[] => {
      const subscription = this.#subscriptions.get(replaces);
      return subscription === undefined ? [] : [{ subscription, trackId }];
    });
    const bySelf = this.#subscriptions.all.filter((subscription) => {
      const { trackId, shown, isBegun, isAsked } = subscription;
      if (!isBegun || isAsked || byOthers.some((other) => other.subscription === subscription)) return false;
      return shown?.isSuperseded === true || this.#newestOf(trackId) === trackId;
    });
    return [...byOthers, ...bySelf.map((subscription) => ({ subscription, trackId: subscription.trackId }))];
  }

  /** A subscription to a track that nothing is received of, and that the edge is being asked for, or has offered. */
  #ask(trackId: TrackId): { readonly subscription: Subscription; readonly attempt: number } {
    const subscription = new Subscription(trackId, {
      promoted: (promoted, item, replaces) => this.#promoted(promoted, item, replaces),
      closed: (item, reason) => {
        if (!item.hasEnded && (reason === 'replaced' || reason === 'given_up'))
          this.#requests.noteUseless(item);
      },
      missing: (missing) => this.#subscriptions.remove(missing),
      noStats: (thrown) => this.#environment.log.warn('the browser gives no statistics', thrown),
    });
    this.#subscriptions.put(subscription);
    return { subscription, attempt: subscription.ask(trackId) };
  }

  #promoted(subscription: Subscription, item: Received, replaces: Received | undefined): void {
    const { trackId } = item.offer;
    this.#subscriptions.remove(subscription);
    subscription.trackId = trackId;
    this.#subscriptions.put(subscription);
    this.#retryTimes.forget(trackId);
    if (replaces === undefined) this.#environment.consumed(item.offer, item.consumer);
    if (item.isSuperseded) this.#supersede(subscription, item);
    this.#environment.changed();
    this.plan();
  }

  /** Handles its own errors: what failed is tried again later, or never where that is hopeless. */
  async #subscribe(media: MediaSession, trackIds: readonly TrackId[]): Promise<void> {
    const asked = trackIds.map((trackId) => this.#ask(trackId));
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
      // What was not to be had by now is asked for again when its time has come.
      for (const { subscription, attempt } of asked) subscription.failed(attempt);
      if (media === this.#media) this.#answered();
    }
  }

  /** The edge has answered, and browser and consumers are as they will be. */
  #answered(): void {
    if (!this.#subscriptions.all.some(({ isAsked }) => isAsked)) this.#earlyNews.clear();
    this.#environment.changed();
    this.plan();
  }

  /** Makes receivers for consumers and resumes those that wait for it. Handles its own errors. */
  async #consumeAll(media: MediaSession, offers: readonly ConsumerOffer[]): Promise<void> {
    const results = await Promise.allSettled(offers.map((offer) => this.#consume(media, offer)));
    if (media !== this.#media) return;
    const toResume: ConsumerChange[] = [];
    for (const [index, offer] of offers.entries()) {
      const result = results[index];
      const { trackId, consumerId } = offer;
      const subscription = this.#subscriptions.get(trackId) ?? this.#ask(trackId).subscription;
      if (result?.status !== 'fulfilled') {
        const error = toPlenaryError(result?.reason);
        subscription.failed();
        this.#fail(trackId, error);
        this.#requests.tellFailed(media, offer, error);
        continue;
      }
      const received = newReceived(offer, result.value, media);
      const news = this.#earlyNews.take(consumerId);
      if (news === 'ended' || news === 'way_lost') {
        received.consumer.close();
        subscription.failed();
        this.#ended(trackId, news === 'way_lost');
        continue;
      }
      received.isSuperseded = news === 'superseded';
      subscription.opened(received);
      const visible = offer.kind === 'audio' || this.#wanted === 'all' || this.#wanted.has(trackId);
      if (offer.paused && visible) toResume.push({ trackId, consumerId, paused: false });
    }
    this.#environment.changed();
    for (const batch of batches(toResume)) void this.#update(media, batch);
    this.plan();
  }

  /** Handles its own errors: where no new consumer is to be had the old one stays, and ends when its node ends it. */
  async #replaceAll(media: MediaSession, replacements: readonly Replacement[]): Promise<void> {
    const asked = replacements.map((replacement): AskedReplacement => {
      const { subscription, trackId } = replacement;
      const old = subscription.shown;
      return { ...replacement, old, attempt: subscription.ask(trackId) };
    });
    const { request, log } = this.#environment;
    const opened = await openReplacements(
      {
        request,
        consume: (by, offer) => this.#consume(by, offer),
        tellFailed: (by, offer, error) => this.#requests.tellFailed(by, offer, error),
        log,
      },
      media,
      asked,
    );
    if (media !== this.#media) return;
    for (const replacement of asked) this.#takeNext(replacement, opened.get(replacement.trackId));
    await Promise.all(asked.map(({ subscription }) => subscription.whenDecided()));
    if (media === this.#media) this.#answered();
  }

  /** What was opened to take a place is there, unless it ended meanwhile. */
  #takeNext({ subscription, attempt, trackId }: AskedReplacement, next: Received | undefined): void {
    const news = next === undefined ? undefined : this.#earlyNews.take(next.offer.consumerId);
    const isRefused = next !== undefined && this.#refused.has(next.offer);
    if (next !== undefined && !isRefused && news !== 'ended' && news !== 'way_lost') {
      next.isSuperseded = news === 'superseded';
      subscription.opened(next, attempt);
      this.plan();
      return;
    }
    next?.consumer.close();
    if (next !== undefined && isRefused) this.#requests.tellFailed(next.media, next.offer, tooLarge());
    this.#notReplaced(subscription, attempt, trackId);
  }

  /** What was to take a place is not to be had, or ended before it played. */
  #notReplaced(
    subscription: Subscription,
    attempt?: number,
    target = subscription.next?.offer.trackId,
  ): void {
    const { trackId, shown } = subscription;
    const isMissing = subscription.failed(attempt) && shown !== undefined;
    if (isMissing) this.#ended(trackId);
    // A successor that cannot be had yet is tried again, and the old one goes on meanwhile.
    else if (target !== undefined && target !== trackId) this.#retryTimes.postpone(target);
    this.plan();
  }

  /** Handles its own errors: a change that did not get through is undone here and planned again. */
  async #update(media: MediaSession, changes: readonly ConsumerChange[]): Promise<void> {
    const undo = noteChanges(changes, (trackId) => this.#subscriptions.shownOf(trackId));
    this.#environment.changed();
    try {
      await requestChanges(this.#environment.request, media, changes);
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      this.#environment.log.warn('consumers.update failed', error.message);
      if (media !== this.#media) return;
      if (MEDIA_GONE.has(error.code)) {
        this.#environment.mediaLost();
        return;
      }
      undo();
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
    this.#retryTimes.failed(trackId, error);
    this.#environment.log.warn(`track ${trackId} could not be had`, error.message);
  }

  #forgetTrack(trackId: TrackId): void {
    const subscription = this.#subscriptions.get(trackId);
    if (subscription !== undefined) this.#forget(subscription);
  }

  #forget(subscription: Subscription): void {
    this.#drop(subscription);
    this.#retryTimes.forget(subscription.trackId);
    this.#environment.changed();
  }

  #drop(subscription: Subscription): void {
    this.#subscriptions.remove(subscription);
    subscription.close();
  }
}

const tooLarge = (): PlenaryError =>
  new PlenaryError('cannot_consume', 'The pictures are too large for a browser.');
