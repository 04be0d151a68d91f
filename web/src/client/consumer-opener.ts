import { PlenaryError, toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import type { ConsumerOffer, TrackId } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import { batches } from './batches.ts';
import type { ConsumerRequests } from './consumer-requests.ts';
import type { ClientLog } from './counters.ts';
import type { EarlyNotices } from './early-notices.ts';
import type { MediaSession } from './media-session.ts';
import { openReplacements } from './open-replacements.ts';
import type { ConsumerChange } from './plan-subscriptions.ts';
import type { RefusedPictures } from './refused-pictures.ts';
import type { RequestEdge } from './request-edge.ts';
import type { RetryTimes } from './retry-times.ts';
import type { SubscriptionMap } from './subscription-map.ts';
import { Subscription, newReceived, type ReceivedConsumer } from './subscription.ts';

/** A subscription, and the track of its replacement consumer: the same track, or the one that replaces it. */
export interface Replacement {
  readonly subscription: Subscription;
  readonly trackId: TrackId;
}

/** A replacement with a pending request. */
interface RequestedReplacement extends Replacement {
  readonly attempt: number;
  readonly old: ReceivedConsumer | undefined;
}

/** The media session of the request is lost. It is reopened, unless the client already has a newer one. */
export const MEDIA_GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['media_lost', 'stale_epoch']);

export interface SubscriptionsEnvironment {
  readonly request: RequestEdge;
  readonly changed: () => void;
  /** The media node no longer has this media session. */
  readonly mediaLost: () => void;
  readonly consumed: (offer: ConsumerOffer, consumer: types.Consumer) => void;
  readonly log: ClientLog;
}

/** State of consumers, shared by {@link ConsumerOpener} and its owner, which decides what to subscribe to. */
export interface ConsumerState {
  readonly subscriptions: SubscriptionMap;
  readonly retryTimes: RetryTimes;
  readonly earlyNotices: EarlyNotices;
  /** Video tracks that are too large for a browser. */
  readonly refused: RefusedPictures;
  readonly requests: ConsumerRequests;
}

interface ConsumerOpenerEnvironment extends SubscriptionsEnvironment {
  /** The current media session; `undefined` while there is none. */
  readonly media: () => MediaSession | undefined;
  /** Whether a consumer should be resumed. */
  readonly isWanted: (offer: ConsumerOffer) => boolean;
  /** Changes consumers. Handles its own errors. */
  readonly update: (media: MediaSession, changes: readonly ConsumerChange[]) => void;
  /** Plans again, because the state changed. */
  readonly plan: () => void;
}

/** Subscribes to tracks at the edge, creates their receivers, and hands them to their subscriptions. */
export class ConsumerOpener {
  readonly #parts: ConsumerState;
  readonly #environment: ConsumerOpenerEnvironment;

  constructor(parts: ConsumerState, environment: ConsumerOpenerEnvironment) {
    this.#parts = parts;
    this.#environment = environment;
  }

  /** @throws PlenaryError as {@link MediaSession.consume} */
  async #consume(media: MediaSession, offer: ConsumerOffer): Promise<types.Consumer> {
    if (this.#parts.refused.has(offer)) throw tooLarge();
    return media.consume(offer);
  }

  /** Creates the subscription of a track that was just requested or offered. */
  createSubscription(trackId: TrackId): { readonly subscription: Subscription; readonly attempt: number } {
    const subscription = new Subscription(trackId, {
      promoted: (promoted, item, replaces) => this.#promoted(promoted, item, replaces),
      closed: (item, reason) => {
        if (!item.hasEnded && (reason === 'replaced' || reason === 'abandoned'))
          this.#parts.requests.noteUnneeded(item);
      },
      missing: (missing) => this.#parts.subscriptions.remove(missing),
      noStats: (thrown) => this.#environment.log.warn('the browser gives no statistics', thrown),
    });
    this.#parts.subscriptions.put(subscription);
    return { subscription, attempt: subscription.markRequested(trackId) };
  }

  #promoted(
    subscription: Subscription,
    item: ReceivedConsumer,
    replaces: ReceivedConsumer | undefined,
  ): void {
    const { trackId } = item.offer;
    this.#parts.subscriptions.remove(subscription);
    subscription.trackId = trackId;
    this.#parts.subscriptions.put(subscription);
    this.#parts.retryTimes.forget(trackId);
    if (replaces === undefined) this.#environment.consumed(item.offer, item.consumer);
    if (item.isSuperseded) this.supersede(subscription, item);
    this.#environment.changed();
    this.#environment.plan();
  }

  /** Subscribes to tracks. Handles its own errors: a failed track is retried later, or never after a final error. */
  async subscribe(media: MediaSession, trackIds: readonly TrackId[]): Promise<void> {
    const requested = trackIds.map((trackId) => this.createSubscription(trackId));
    try {
      const { consumers, failed } = await this.#environment.request('subscribe', {
        trackIds: [...trackIds],
        epoch: media.epoch,
      });
      if (media !== this.#environment.media()) return;
      for (const { trackId, error } of failed) this.fail(trackId, PlenaryError.fromWire(error));
      await this.consumeAll(media, consumers);
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (media !== this.#environment.media()) return;
      if (MEDIA_GONE.has(error.code) || error.code === 'transport_not_found') this.#environment.mediaLost();
      for (const trackId of trackIds) this.fail(trackId, error);
    } finally {
      // Tracks without a consumer by now are requested again at their retry time.
      for (const { subscription, attempt } of requested) subscription.failed(attempt);
      if (media === this.#environment.media()) this.#answered();
    }
  }

  /** Continues when the edge has answered and the receivers are created. */
  #answered(): void {
    if (!this.#parts.subscriptions.all.some(({ isRequested }) => isRequested))
      this.#parts.earlyNotices.clear();
    this.#environment.changed();
    this.#environment.plan();
  }

  /** Creates the receivers of consumers, and resumes paused consumers that are wanted. Handles its own errors. */
  async consumeAll(media: MediaSession, offers: readonly ConsumerOffer[]): Promise<void> {
    const results = await Promise.allSettled(offers.map((offer) => this.#consume(media, offer)));
    if (media !== this.#environment.media()) return;
    const toResume: ConsumerChange[] = [];
    for (const [index, offer] of offers.entries()) {
      const result = results[index];
      const { trackId, consumerId } = offer;
      const subscription =
        this.#parts.subscriptions.get(trackId) ?? this.createSubscription(trackId).subscription;
      if (result?.status !== 'fulfilled') {
        const error = toPlenaryError(result?.reason);
        subscription.failed();
        this.fail(trackId, error);
        this.#parts.requests.reportFailed(media, offer, error);
        continue;
      }
      const received = newReceived(offer, result.value, media);
      const notice = this.#parts.earlyNotices.take(consumerId);
      if (notice === 'ended' || notice === 'path_lost') {
        received.consumer.close();
        subscription.failed();
        this.ended(trackId, notice === 'path_lost');
        continue;
      }
      received.isSuperseded = notice === 'superseded';
      subscription.opened(received);
      if (offer.paused && this.#environment.isWanted(offer))
        toResume.push({ trackId, consumerId, paused: false });
    }
    this.#environment.changed();
    for (const batch of batches(toResume)) this.#environment.update(media, batch);
    this.#environment.plan();
  }

  /** Replaces consumers. Handles its own errors: an old consumer without a replacement stays until its node ends it. */
  async replaceAll(media: MediaSession, replacements: readonly Replacement[]): Promise<void> {
    const requested = replacements.map((replacement): RequestedReplacement => {
      const { subscription, trackId } = replacement;
      const old = subscription.shown;
      return { ...replacement, old, attempt: subscription.markRequested(trackId) };
    });
    const { request, log } = this.#environment;
    const opened = await openReplacements(
      {
        request,
        consume: (session, offer) => this.#consume(session, offer),
        reportFailed: (session, offer, error) => this.#parts.requests.reportFailed(session, offer, error),
        log,
      },
      media,
      requested,
    );
    if (media !== this.#environment.media()) return;
    for (const replacement of requested) this.#takeNext(replacement, opened.get(replacement.trackId));
    await Promise.all(requested.map(({ subscription }) => subscription.whenDecided()));
    if (media === this.#environment.media()) this.#answered();
  }

  /** Hands the opened replacement to its subscription, unless it failed, ended or was refused meanwhile. */
  #takeNext(
    { subscription, attempt, trackId }: RequestedReplacement,
    next: ReceivedConsumer | undefined,
  ): void {
    const notice = next === undefined ? undefined : this.#parts.earlyNotices.take(next.offer.consumerId);
    const isRefused = next !== undefined && this.#parts.refused.has(next.offer);
    if (next !== undefined && !isRefused && notice !== 'ended' && notice !== 'path_lost') {
      next.isSuperseded = notice === 'superseded';
      subscription.opened(next, attempt);
      this.#environment.plan();
      return;
    }
    next?.consumer.close();
    if (next !== undefined && isRefused)
      this.#parts.requests.reportFailed(next.media, next.offer, tooLarge());
    this.notReplaced(subscription, attempt, trackId);
  }

  /** Handles a replacement that failed, or ended before it played. */
  notReplaced(subscription: Subscription, attempt?: number, target = subscription.next?.offer.trackId): void {
    const { trackId, shown } = subscription;
    const isMissing = subscription.failed(attempt) && shown !== undefined;
    if (isMissing) this.ended(trackId);
    // The track changed its path again while this replacement was requested.
    else if (shown?.isSuperseded === true) this.supersede(subscription, shown);
    // A successor track that failed is retried, and the old consumer goes on meanwhile.
    else if (target !== undefined && target !== trackId) this.#parts.retryTimes.postpone(target);
    this.#environment.plan();
  }

  /** Notes that the client cannot receive the track now, or ever. */
  fail(trackId: TrackId, error: PlenaryError): void {
    this.#parts.retryTimes.failed(trackId, error);
    this.#environment.log.warn(`track ${trackId} cannot be received`, error.message);
  }

  /** Handles the end of the track's consumer. @param trackContinues - whether the track certainly goes on */
  ended(trackId: TrackId, trackContinues = false): void {
    this.#parts.retryTimes.ended(trackId, trackContinues);
    this.#environment.plan();
  }

  /** Begins to replace a consumer whose track takes another path. The request goes out with the next plan. */
  supersede(subscription: Subscription, shown: ReceivedConsumer): void {
    shown.isSuperseded = true;
    subscription.begin();
    this.#environment.plan();
  }
}

export const tooLarge = (): PlenaryError =>
  new PlenaryError('cannot_consume', 'The pictures are too large for a browser.');
