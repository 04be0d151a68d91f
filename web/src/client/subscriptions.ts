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
import { EarlyNotices, type ConsumerNotice } from './early-notices.ts';
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
 * The rate limit of requests for new and replacement consumers; changes of existing consumers have a second bucket of the same size.
 * Changes that arrive during a wait share one request. Without the limit, a peer that publishes, replaces and ends tracks without pause
 * would make every client in the room exceed the edge's limit and be dropped (SPEC BU75).
 */
const REQUEST_RATE = { capacity: 8, refillPerSecond: 2 } as const;

/** Keeps the consumers in line with the room's tracks and with the tiles on the screen. */
export class Subscriptions {
  readonly #environment: SubscriptionsEnvironment;
  readonly #subscriptions = new SubscriptionMap();
  readonly #retryTimes = new RetryTimes();
  readonly #earlyNotices = new EarlyNotices();
  /** Video tracks that are too large for a browser. */
  readonly #refused = new RefusedPictures();
  readonly #requests: ConsumerRequests;
  readonly #opener: ConsumerOpener;
  #tracks: ReadonlyMap<TrackId, RoomTrack> = new Map();
  /** The room's own map, before {@link withOwnReplacements}. */
  #roomTracks = this.#tracks;
  #wanted: WantedVideo = 'all';
  #media: MediaSession | undefined;
  #selfPeerId: PeerId | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isPlanQueued = false;
  readonly #requestTokens = new TokenBucket(REQUEST_RATE, pageClock);
  readonly #changeTokens = new TokenBucket(REQUEST_RATE, pageClock);

  constructor(environment: SubscriptionsEnvironment) {
    this.#environment = environment;
    this.#requests = new ConsumerRequests(environment.request, environment.log);
    const state = {
      subscriptions: this.#subscriptions,
      retryTimes: this.#retryTimes,
      earlyNotices: this.#earlyNotices,
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

  /** Subscribes on a new media session. The offered consumers send already. Resolves when their receivers are created. */
  async attach(media: MediaSession, selfPeerId: PeerId, offers: readonly ConsumerOffer[]): Promise<void> {
    this.detach();
    this.#media = media;
    this.#selfPeerId = selfPeerId;
    for (const { trackId } of offers) this.#opener.createSubscription(trackId);
    this.plan();
    // In one turn, so that all consumers share one negotiation.
    await this.#opener.consumeAll(media, offers);
  }

  /**
   * Moves all consumers to another media session. Each old consumer goes on until its replacement plays. Resolves when every replacement
   * plays or has failed.
   */
  async move(media: MediaSession): Promise<void> {
    this.#forgetRequests();
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

  /** Completes the move, because the old transports are closed. Tracks whose replacement failed are requested again. */
  completeMove(): void {
    for (const subscription of this.#subscriptions.all) {
      if (subscription.shown === undefined || subscription.shown.media === this.#media) continue;
      if (subscription.isBegun) subscription.lost();
      else this.#forget(subscription);
    }
    this.#environment.changed();
    this.plan();
  }

  /** Drops all consumers, because their transport is gone. The tracks stay and wait for the next media session. */
  detach(): void {
    this.#forgetRequests();
    this.#media = undefined;
    for (const subscription of this.#subscriptions.all) this.#drop(subscription);
    this.#requests.clear();
    this.#environment.changed();
  }

  #forgetRequests(): void {
    clearTimeout(this.#timer);
    this.#retryTimes.clear();
    this.#earlyNotices.clear();
  }

  /** @param mayBePresent - whether a peer may still be in the room */
  setTracks(tracks: ReadonlyMap<TrackId, RoomTrack>, mayBePresent: (peerId: PeerId) => boolean): void {
    this.#refused.forgetAbsent(tracks, mayBePresent);
    if (tracks === this.#roomTracks) return;
    this.#roomTracks = tracks;
    this.#tracks = withOwnReplacements(tracks);
    this.#retryTimes.keep(tracks);
    this.#environment.changed();
    this.plan();
  }

  setWanted(wanted: WantedVideo): void {
    this.#wanted = wanted;
    this.plan();
  }

  /** Handles a consumer that the media node closed. Its track is subscribed to again if it still exists. */
  consumerClosed({ consumerId, trackId, isPathLost = false }: EdgeNotice<'consumer.closed'>): void {
    const subscription = this.#subscriptions.get(trackId);
    const next = this.#subscriptions.withNext(consumerId);
    if (next?.next !== undefined) {
      next.next.hasEnded = true;
      this.#opener.notReplaced(next);
    } else if (subscription?.shown?.offer.consumerId !== consumerId)
      this.#noteEarlyNotice(consumerId, trackId, isPathLost ? 'path_lost' : 'ended');
    else {
      // If a successor track is about to be requested, the last picture stays until the successor plays.
      if (this.#newestOf(trackId) !== trackId) subscription.begin();
      const isBeingReplaced = subscription.isBegun;
      subscription.lost();
      if (isBeingReplaced) this.plan();
      else this.#opener.ended(trackId, isPathLost);
    }
  }

  /** Replaces a consumer whose track takes another path now. The new consumer is shown as soon as it plays. */
  consumerSuperseded(consumerId: ConsumerId, trackId: TrackId): void {
    if (this.#media === undefined) return;
    const subscription = this.#subscriptions.get(trackId);
    const next = this.#subscriptions.withNext(consumerId)?.next;
    if (next !== undefined) next.isSuperseded = true;
    else if (subscription?.shown?.offer.consumerId !== consumerId)
      this.#noteEarlyNotice(consumerId, trackId, 'superseded');
    // If a pending replacement fails, the next one is requested for this notice.
    else if (subscription.isRequested) subscription.shown.isSuperseded = true;
    else this.#opener.supersede(subscription, subscription.shown);
  }

  #noteEarlyNotice(consumerId: ConsumerId, trackId: TrackId, notice: ConsumerNotice): void {
    if (this.#subscriptions.inFlight.has(trackId)) this.#earlyNotices.note(consumerId, notice);
  }

  /** The track that replaces this one, or the track itself if none does. */
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
      isUnavailable: (track) => this.#refused.has(track) || this.#retryTimes.isGivenUp(track.trackId),
    });
  }

  /** Refuses a video that is too large, and all video of a peer that sent a second one (see {@link RefusedPictures}). */
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

  /** Videos that are received now. */
  pictures(): Iterable<ReceivedPicture> {
    return this.#subscriptions.pictures();
  }

  /** Flows that should carry packets now, by consumer. */
  flows(): Iterable<readonly [id: string, flow: WatchedFlow]> {
    return this.#subscriptions.flows(this.#tracks);
  }

  /** Plans in the next turn, once for all changes of this turn. */
  plan(): void {
    if (this.#isPlanQueued) return;
    this.#isPlanQueued = true;
    queueMicrotask(() => {
      this.#isPlanQueued = false;
      this.#applyPlan();
    });
  }

  #applyPlan(): void {
    const media = this.#media;
    const selfPeerId = this.#selfPeerId;
    if (media === undefined || media.closed || selfPeerId === undefined) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    const plan = this.#planNow(selfPeerId, nowMs);
    for (const trackId of plan.drop) this.#forgetTrack(trackId);
    const replacements = this.#replacementsOf(plan);
    // Both kinds of request take their tokens together, so that neither can starve the other.
    const requestCount = [plan.subscribe, replacements].filter(({ length }) => length > 0).length;
    const requestInMs = requestCount === 0 ? 0 : this.#requestTokens.takeOrWaitMs(requestCount);
    if (requestInMs === 0) {
      for (const batch of batches(replacements)) void this.#opener.replaceAll(media, batch);
      for (const batch of batches(plan.subscribe)) void this.#opener.subscribe(media, batch);
    }
    const endInMs = this.#requests.release();
    const changeInMs = plan.update.length === 0 ? 0 : this.#changeTokens.takeOrWaitMs();
    if (changeInMs === 0) for (const batch of batches(plan.update)) void this.#update(media, batch);
    for (const batch of batches(plan.unsubscribe)) {
      for (const { trackId } of batch) this.#forgetTrack(trackId);
      this.#requests.unsubscribe(
        media,
        batch.map(({ consumerId }) => consumerId),
      );
    }
    const waits = [requestInMs, endInMs, changeInMs]
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

  /** The replacements to request now: by a successor track, or by the same track on another path. */
  #replacementsOf({ replace }: SubscriptionPlan): Replacement[] {
    const bySuccessors = replace.flatMap(({ trackId, replaces }): Replacement[] => {
      const subscription = this.#subscriptions.get(replaces);
      return subscription === undefined ? [] : [{ subscription, trackId }];
    });
    const byThemselves = this.#subscriptions.all.filter((subscription) => {
      const { trackId, shown, isBegun, isRequested } = subscription;
      if (!isBegun || isRequested) return false;
      if (bySuccessors.some((other) => other.subscription === subscription)) return false;
      return shown?.isSuperseded === true || this.#newestOf(trackId) === trackId;
    });
    return [
      ...bySuccessors,
      ...byThemselves.map((subscription) => ({ subscription, trackId: subscription.trackId })),
    ];
  }

  /** Changes consumers. Handles its own errors: a failed change is undone here and planned again. */
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
      // Without the delay, the client would repeat a refused change as fast as the edge answers.
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
