import { toPlenaryError } from '@plenary/cluster/errors';
import type {
  ConsumerId,
  ConsumerOffer,
  EdgeNotice,
  PeerId,
  RoomTrack,
  TrackId,
} from '@plenary/cluster/protocol';
import { TokenBucket } from '@plenary/cluster/token-bucket';
import type { types } from 'mediasoup-client';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import { batches } from './batches.ts';
import { noteChanges, requestChanges } from './change-consumers.ts';
import {
  ConsumerOpener,
  MEDIA_GONE,
  tooLarge,
  type Replacement,
  type SubscriptionsEnvironment,
} from './consumer-opener.ts';
import { ConsumerRequests } from './consumer-requests.ts';
import { EarlyNews, type ConsumerNews } from './early-news.ts';
import type { ReceivedPicture } from './large-pictures.ts';
import type { MediaSession } from './media-session.ts';
import {
  planSubscriptions,
  withOwnReplacements,
  type ConsumerChange,
  type SubscriptionPlan,
  type WantedVideo,
} from './plan-subscriptions.ts';
import { pageClock } from './page-clock.ts';
import { RefusedPictures, type PictureFault } from './refused-pictures.ts';
import { remoteTracksOf, type RemoteTrack } from './remote-tracks.ts';
import { RetryTimes } from './retry-times.ts';
import type { WatchedFlow } from './stalled-tracks.ts';
import { SubscriptionMap } from './subscription-map.ts';
import { viewOf, type Subscription } from './subscription.ts';

/**
 * Requests for new tracks and for those that take another one's place, at once and a second, and as many for changes of what is there:
 * what comes meanwhile goes into one request. A peer that publishes, replaces and ends tracks without end, and moves everybody's tiles with
 * them, would otherwise have all in the room ask more than they may, and be dropped for it (SPEC BU75).
 */
const ASKS = { capacity: 8, refillPerSecond: 2 } as const;

/** Keeps the consumers in line with the room and with what is on the screen. */
export class Subscriptions {
  readonly #environment: SubscriptionsEnvironment;
  readonly #subscriptions = new SubscriptionMap();
  readonly #retryTimes = new RetryTimes();
  readonly #earlyNews = new EarlyNews();
  /** Pictures that are too large for a browser. */
  readonly #refused = new RefusedPictures();
  readonly #requests: ConsumerRequests;
  readonly #opener: ConsumerOpener;
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

  constructor(environment: SubscriptionsEnvironment) {
    this.#environment = environment;
    this.#requests = new ConsumerRequests(environment.request, environment.log);
    const state = {
      subscriptions: this.#subscriptions,
      retryTimes: this.#retryTimes,
      earlyNews: this.#earlyNews,
      refused: this.#refused,
      requests: this.#requests,
    };
    this.#opener = new ConsumerOpener(state, {
      ...environment,
      media: () => this.#media,
      isWanted: ({ kind, trackId }) =>
        kind === 'audio' || this.#wanted === 'all' || this.#wanted.has(trackId),
      update: (media, changes) => void this.#update(media, changes),
      plan: () => this.plan(),
    });
  }

  /** Begins with new transports. The offered consumers flow already; resolves once their receivers stand. */
  async attach(media: MediaSession, selfPeerId: PeerId, offers: readonly ConsumerOffer[]): Promise<void> {
    this.detach();
    this.#media = media;
    this.#selfPeerId = selfPeerId;
    for (const { trackId } of offers) this.#opener.createSubscription(trackId);
    this.plan();
    // In one turn, so that all of them share one negotiation.
    await this.#opener.consumeAll(media, offers);
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
    const moved = Promise.all(batches(replacements).map((batch) => this.#opener.replaceAll(media, batch)));
    this.plan();
    await moved;
  }

  /** The transports of before are gone: what could not be had by the new ones is asked for anew. */
  completeMove(): void {
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
    this.#refused.forgetAbsent(tracks, isHere);
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
  consumerClosed({ consumerId, trackId, isPathLost = false }: EdgeNotice<'consumer.closed'>): void {
    const subscription = this.#subscriptions.get(trackId);
    const next = this.#subscriptions.withNext(consumerId);
    if (next?.next !== undefined) {
      next.next.hasEnded = true;
      this.#opener.notReplaced(next);
    } else if (subscription?.shown?.offer.consumerId !== consumerId)
      this.#noteEarly(consumerId, trackId, isPathLost ? 'path_lost' : 'ended');
    else {
      // The last picture of a track whose successor is about to be asked for stays until that is there.
      if (this.#newestOf(trackId) !== trackId) subscription.begin();
      const goesOn = subscription.isBegun;
      subscription.lost();
      if (goesOn) this.plan();
      else this.#opener.ended(trackId, isPathLost);
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
    else if (!subscription.isRequested) this.#opener.supersede(subscription, subscription.shown);
  }

  #noteEarly(consumerId: ConsumerId, trackId: TrackId, news: ConsumerNews): void {
    if (this.#subscriptions.inFlight.has(trackId)) this.#earlyNews.note(consumerId, news);
  }

  /** The track that is to be received instead of one: itself, unless another one replaces it. */
  #newestOf(trackId: TrackId): TrackId {
    const successor = [...this.#tracks.values()].find(({ replaces }) => replaces === trackId);
    return successor?.trackId ?? trackId;
  }

  get remoteTracks(): ReadonlyMap<TrackId, RemoteTrack> {
    return remoteTracksOf({
      selfPeerId: this.#selfPeerId,
      tracks: this.#tracks,
      received: (trackId) => {
        const shown = this.#subscriptions.shownOf(trackId);
        return shown?.consumer.closed === true ? undefined : shown;
      },
      isUnavailable: (track) => this.#refused.has(track) || this.#retryTimes.isUnavailable(track.trackId),
    });
  }

  /** Takes this track no more, nor any picture of its person, for as long as they are here, once that happened before. */
  refusePicture(picture: Pick<RoomTrack, 'trackId' | 'peerId'>, fault: PictureFault): void {
    this.#refused.refuse(picture, fault);
    for (const subscription of this.#subscriptions.all) {
      const { shown, next } = subscription;
      if (next !== undefined && this.#refused.has(next.offer)) {
        next.hasEnded = true;
        this.#requests.reportFailed(next.media, next.offer, tooLarge());
        this.#opener.notReplaced(subscription);
      }
      if (shown === undefined || !this.#refused.has(shown.offer)) continue;
      this.#forget(subscription);
      this.#opener.fail(shown.offer.trackId, tooLarge());
      this.#requests.reportFailed(shown.media, shown.offer, tooLarge());
    }
    this.#environment.changed();
    this.plan();
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
    const askInMs = asks === 0 ? 0 : this.#asks.takeOrWaitMs(asks);
    if (askInMs === 0) {
      for (const batch of batches(replacements)) void this.#opener.replaceAll(media, batch);
      for (const batch of batches(plan.subscribe)) void this.#opener.subscribe(media, batch);
    }
    const endInMs = this.#requests.release();
    const changeInMs = plan.update.length === 0 ? 0 : this.#changes.takeOrWaitMs();
    if (changeInMs === 0) for (const batch of batches(plan.update)) void this.#update(media, batch);
    for (const batch of batches(plan.unsubscribe)) {
      for (const { trackId } of batch) this.#forgetTrack(trackId);
      this.#requests.unsubscribe(
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
  #replacementsOf({ replace: succeed }: SubscriptionPlan): Replacement[] {
    const byOthers = succeed.flatMap(({ trackId, replaces }): Replacement[] => {
      const subscription = this.#subscriptions.get(replaces);
      return subscription === undefined ? [] : [{ subscription, trackId }];
    });
    const bySelf = this.#subscriptions.all.filter((subscription) => {
      const { trackId, shown, isBegun, isRequested: isAsked } = subscription;
      if (!isBegun || isAsked || byOthers.some((other) => other.subscription === subscription)) return false;
      return shown?.isSuperseded === true || this.#newestOf(trackId) === trackId;
    });
    return [...byOthers, ...bySelf.map((subscription) => ({ subscription, trackId: subscription.trackId }))];
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
