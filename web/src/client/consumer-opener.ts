import { PlenaryError, toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import type { ConsumerOffer, TrackId } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import { batches } from './batches.ts';
import type { ConsumerRequests } from './consumer-requests.ts';
import type { ClientLog } from './counters.ts';
import type { EarlyNews } from './early-news.ts';
import type { MediaSession } from './media-session.ts';
import { openReplacements } from './open-replacements.ts';
import type { ConsumerChange } from './plan-subscriptions.ts';
import type { RefusedPictures } from './refused-pictures.ts';
import type { RequestEdge } from './request-edge.ts';
import type { RetryTimes } from './retry-times.ts';
import type { SubscriptionMap } from './subscription-map.ts';
import { Subscription, newReceived, type ReceivedConsumer } from './subscription.ts';

/** A subscription, and the track whose consumer is to take its place: the same track, or the one that replaces it. */
export interface Replacement {
  readonly subscription: Subscription;
  readonly trackId: TrackId;
}

/** One that the edge is being asked for. */
interface AskedReplacement extends Replacement {
  readonly attempt: number;
  readonly old: ReceivedConsumer | undefined;
}

/** The media that a request named is gone: it is to be opened anew, unless the client has newer media already. */
export const MEDIA_GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['media_lost', 'stale_epoch']);

export interface SubscriptionsEnvironment {
  readonly request: RequestEdge;
  readonly changed: () => void;
  /** The media node no longer knows this client. */
  readonly mediaLost: () => void;
  readonly consumed: (offer: ConsumerOffer, consumer: types.Consumer) => void;
  readonly log: ClientLog;
}

/** What is known of consumers, shared by those who open them and those who decide which. */
export interface ConsumerState {
  readonly subscriptions: SubscriptionMap;
  readonly retryTimes: RetryTimes;
  readonly earlyNews: EarlyNews;
  /** Pictures that are too large for a browser. */
  readonly refused: RefusedPictures;
  readonly requests: ConsumerRequests;
}

interface ConsumerOpenerEnvironment extends SubscriptionsEnvironment {
  /** What everything is received by; `undefined` while there is none. */
  readonly media: () => MediaSession | undefined;
  /** Whether a consumer is to flow. */
  readonly isWanted: (offer: ConsumerOffer) => boolean;
  /** Changes consumers, and handles its own errors. */
  readonly update: (media: MediaSession, changes: readonly ConsumerChange[]) => void;
  /** What is to be done may be another thing now. */
  readonly plan: () => void;
}

/** Asks the edge for tracks, makes receivers for them, and puts each in its place. */
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

  /** A subscription to a track that nothing is received of, and that the edge is being asked for, or has offered. */
  ask(trackId: TrackId): { readonly subscription: Subscription; readonly attempt: number } {
    const subscription = new Subscription(trackId, {
      promoted: (promoted, item, replaces) => this.#promoted(promoted, item, replaces),
      closed: (item, reason) => {
        if (!item.hasEnded && (reason === 'replaced' || reason === 'given_up'))
          this.#parts.requests.noteUseless(item);
      },
      missing: (missing) => this.#parts.subscriptions.remove(missing),
      noStats: (thrown) => this.#environment.log.warn('the browser gives no statistics', thrown),
    });
    this.#parts.subscriptions.put(subscription);
    return { subscription, attempt: subscription.ask(trackId) };
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

  /** Handles its own errors: what failed is tried again later, or never where that is hopeless. */
  async subscribe(media: MediaSession, trackIds: readonly TrackId[]): Promise<void> {
    const asked = trackIds.map((trackId) => this.ask(trackId));
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
      // What was not to be had by now is asked for again when its time has come.
      for (const { subscription, attempt } of asked) subscription.failed(attempt);
      if (media === this.#environment.media()) this.#answered();
    }
  }

  /** The edge has answered, and browser and consumers are as they will be. */
  #answered(): void {
    if (!this.#parts.subscriptions.all.some(({ isAsked }) => isAsked)) this.#parts.earlyNews.clear();
    this.#environment.changed();
    this.#environment.plan();
  }

  /** Makes receivers for consumers and resumes those that wait for it. Handles its own errors. */
  async consumeAll(media: MediaSession, offers: readonly ConsumerOffer[]): Promise<void> {
    const results = await Promise.allSettled(offers.map((offer) => this.#consume(media, offer)));
    if (media !== this.#environment.media()) return;
    const toResume: ConsumerChange[] = [];
    for (const [index, offer] of offers.entries()) {
      const result = results[index];
      const { trackId, consumerId } = offer;
      const subscription = this.#parts.subscriptions.get(trackId) ?? this.ask(trackId).subscription;
      if (result?.status !== 'fulfilled') {
        const error = toPlenaryError(result?.reason);
        subscription.failed();
        this.fail(trackId, error);
        this.#parts.requests.tellFailed(media, offer, error);
        continue;
      }
      const received = newReceived(offer, result.value, media);
      const news = this.#parts.earlyNews.take(consumerId);
      if (news === 'ended' || news === 'path_lost') {
        received.consumer.close();
        subscription.failed();
        this.ended(trackId, news === 'path_lost');
        continue;
      }
      received.isSuperseded = news === 'superseded';
      subscription.opened(received);
      if (offer.paused && this.#environment.isWanted(offer))
        toResume.push({ trackId, consumerId, paused: false });
    }
    this.#environment.changed();
    for (const batch of batches(toResume)) this.#environment.update(media, batch);
    this.#environment.plan();
  }

  /** Handles its own errors: where no new consumer is to be had the old one stays, and ends when its node ends it. */
  async replaceAll(media: MediaSession, replacements: readonly Replacement[]): Promise<void> {
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
        tellFailed: (by, offer, error) => this.#parts.requests.tellFailed(by, offer, error),
        log,
      },
      media,
      asked,
    );
    if (media !== this.#environment.media()) return;
    for (const replacement of asked) this.#takeNext(replacement, opened.get(replacement.trackId));
    await Promise.all(asked.map(({ subscription }) => subscription.whenDecided()));
    if (media === this.#environment.media()) this.#answered();
  }

  /** What was opened to take a place is there, unless it ended meanwhile. */
  #takeNext({ subscription, attempt, trackId }: AskedReplacement, next: ReceivedConsumer | undefined): void {
    const news = next === undefined ? undefined : this.#parts.earlyNews.take(next.offer.consumerId);
    const isRefused = next !== undefined && this.#parts.refused.has(next.offer);
    if (next !== undefined && !isRefused && news !== 'ended' && news !== 'path_lost') {
      next.isSuperseded = news === 'superseded';
      subscription.opened(next, attempt);
      this.#environment.plan();
      return;
    }
    next?.consumer.close();
    if (next !== undefined && isRefused) this.#parts.requests.tellFailed(next.media, next.offer, tooLarge());
    this.notReplaced(subscription, attempt, trackId);
  }

  /** What was to take a place is not to be had, or ended before it played. */
  notReplaced(subscription: Subscription, attempt?: number, target = subscription.next?.offer.trackId): void {
    const { trackId, shown } = subscription;
    const isMissing = subscription.failed(attempt) && shown !== undefined;
    if (isMissing) this.ended(trackId);
    // A successor that cannot be had yet is tried again, and the old one goes on meanwhile.
    else if (target !== undefined && target !== trackId) this.#parts.retryTimes.postpone(target);
    this.#environment.plan();
  }

  /** The track is not to be had now, or never. */
  fail(trackId: TrackId, error: PlenaryError): void {
    this.#parts.retryTimes.failed(trackId, error);
    this.#environment.log.warn(`track ${trackId} could not be had`, error.message);
  }

  /** What was received of the track has ended. @param goesOn - whether the track does, for certain */
  ended(trackId: TrackId, goesOn = false): void {
    this.#parts.retryTimes.ended(trackId, goesOn);
    this.#environment.plan();
  }

  /** Asks for its track another way, together with whatever else is to be asked for. */
  supersede(subscription: Subscription, shown: ReceivedConsumer): void {
    shown.isSuperseded = true;
    subscription.begin();
    this.#environment.plan();
  }
}

export const tooLarge = (): PlenaryError =>
  new PlenaryError('cannot_consume', 'The pictures are too large for a browser.');
