import { Replaceable, type CloseReason } from '@plenary/cluster/make-before-break';
import type { ConsumerOffer, TrackId } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import type { MediaSession } from './media-session.ts';
import type { ConsumerView } from './plan-subscriptions.ts';
import { playsAsWell } from './plays-as-well.ts';

/** Time limit for a replacement consumer to play, in milliseconds. The media node keeps the old one for 10 s. */
const REPLACE_WITHIN_MS = 8_000;

/** A consumer, with its receiver. */
export interface ReceivedConsumer {
  readonly offer: ConsumerOffer;
  readonly consumer: types.Consumer;
  /** The media session that receives it. */
  readonly media: MediaSession;
  paused: boolean;
  spatialLayer: number | undefined;
  hiddenSinceMs: number | undefined;
  /** Whether its node has ended it, or was asked to, so that no unsubscribe is needed. */
  hasEnded: boolean;
  /** Whether another consumer must replace it, because its track takes another path. It goes on only for some seconds. */
  isSuperseded: boolean;
}

export function newReceived(
  offer: ConsumerOffer,
  consumer: types.Consumer,
  media: MediaSession,
): ReceivedConsumer {
  return {
    offer,
    consumer,
    media,
    paused: offer.paused,
    spatialLayer: undefined,
    hiddenSinceMs: undefined,
    hasEnded: false,
    isSuperseded: false,
  };
}

export function viewOf({ offer, paused, spatialLayer, hiddenSinceMs }: ReceivedConsumer): ConsumerView {
  return { consumerId: offer.consumerId, paused, spatialLayer, hiddenSinceMs };
}

export interface SubscriptionEnvironment {
  /** A consumer is shown from now on. @param replaces - the consumer that was shown before, if any */
  readonly promoted: (
    subscription: Subscription,
    item: ReceivedConsumer,
    replaces: ReceivedConsumer | undefined,
  ) => void;
  readonly closed: (item: ReceivedConsumer, reason: CloseReason) => void;
  /** The track has no consumer any more. */
  readonly missing: (subscription: Subscription) => void;
  /** The browser gives no statistics, which show whether a consumer plays. */
  readonly noStats: (thrown: unknown) => void;
}

/** The consumer of a track, and the one that is to replace it: of the same track by another path, or of the track that replaces it. */
export class Subscription {
  /** The track that is received or requested. */
  trackId: TrackId;
  /** The track of the pending request. */
  #target: TrackId;
  #requestedAttempt: number | undefined;
  /** Aborted when the check of the replacement is no longer needed. */
  #watching: AbortController | undefined;
  #decisionWaiters: (() => void)[] = [];
  readonly #replaceable: Replaceable<ReceivedConsumer>;

  constructor(trackId: TrackId, environment: SubscriptionEnvironment) {
    this.trackId = trackId;
    this.#target = trackId;
    this.#replaceable = new Replaceable<ReceivedConsumer>({
      // The owner sends the request, batched with others, when its rate limit allows it.
      open: () => undefined,
      watch: (attempt, next, current) => {
        this.#watch(attempt, next, current, environment.noStats);
      },
      promote: (item, replaces) => {
        environment.promoted(this, item, replaces);
      },
      close: (item, reason) => {
        item.consumer.close();
        environment.closed(item, reason);
      },
      missing: () => environment.missing(this),
    });
  }

  /** The shown consumer. An ended one keeps its last frame on the screen until its replacement plays. */
  get shown(): ReceivedConsumer | undefined {
    const { state } = this.#replaceable;
    return state.phase === 'recovering' ? state.lost : this.#replaceable.current;
  }

  /** The replacement that is received already, but does not play yet. */
  get next(): ReceivedConsumer | undefined {
    const { state } = this.#replaceable;
    return state.phase === 'overlapping' ? state.next : undefined;
  }

  /** Whether a consumer is being opened, as the first one or as a replacement. */
  get isBegun(): boolean {
    const { phase } = this.#replaceable.state;
    return phase !== 'empty' && phase !== 'steady';
  }

  /** Whether that consumer was requested from the edge. */
  get isRequested(): boolean {
    return this.isBegun && this.#requestedAttempt === this.#replaceable.state.attempt;
  }

  /** The tracks of the pending request. */
  get inFlight(): readonly TrackId[] {
    return this.isRequested ? [this.trackId, this.#target] : [];
  }

  /** Begins a replacement. The owner requests it when its rate limit allows it. */
  begin(): void {
    this.#dispatch({ type: 'begin' });
  }

  /** Notes that the owner requests a track from the edge. @returns the number of this attempt */
  markRequested(target: TrackId): number {
    this.#dispatch({ type: this.isRequested ? 'restart' : 'begin' });
    this.#target = target;
    this.#requestedAttempt = this.#replaceable.state.attempt;
    if (this.shown !== undefined) this.shown.isSuperseded = false;
    return this.#requestedAttempt;
  }

  /** Takes the opened consumer. @param attempt - the attempt that it answers; by default the last one */
  opened(item: ReceivedConsumer, attempt = this.#replaceable.state.attempt): void {
    this.#dispatch({ type: 'opened', attempt, item });
  }

  /** Notes that the requested consumer failed, or ended before it played. @returns whether no consumer is left */
  failed(attempt = this.#replaceable.state.attempt): boolean {
    this.#dispatch({ type: 'failed', attempt });
    return this.#replaceable.state.phase === 'empty';
  }

  /** Notes that the shown consumer ended. */
  lost(): void {
    if (this.shown !== undefined) this.shown.hasEnded = true;
    this.#dispatch({ type: 'lost' });
  }

  close(): void {
    this.#dispatch({ type: 'closed' });
  }

  /** Resolves when the replacement is shown, or has failed. */
  whenDecided(): Promise<void> {
    if (!this.isBegun) return Promise.resolve();
    return new Promise((resolve) => {
      this.#decisionWaiters.push(resolve);
    });
  }

  #watch(
    attempt: number,
    next: ReceivedConsumer,
    current: ReceivedConsumer,
    noStats: (thrown: unknown) => void,
  ): void {
    const carries = (): void => this.#dispatch({ type: 'carries', attempt });
    if (next.paused) {
      carries();
      return;
    }
    this.#watching = new AbortController();
    const { signal } = this.#watching;
    void playsAsWell(next.consumer, current.consumer, signal, REPLACE_WITHIN_MS, noStats).then(carries);
  }

  #dispatch(event: Parameters<Replaceable<ReceivedConsumer>['dispatch']>[0]): void {
    this.#replaceable.dispatch(event);
    if (this.next === undefined) this.#watching?.abort();
    if (this.isBegun) return;
    for (const resolve of this.#decisionWaiters.splice(0)) resolve();
  }
}
