import { Replaceable, type CloseReason } from '@plenary/cluster/make-before-break';
import type { ConsumerOffer, TrackId } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import type { MediaSession } from './media-session.ts';
import type { ConsumerView } from './plan-subscriptions.ts';
import { playsAsWell } from './plays-as-well.ts';

/** How long a consumer that is to replace another one may take to play, in milliseconds; the old one goes on for 10 s. */
const REPLACE_WITHIN_MS = 8_000;

/** A consumer, with its receiver. */
export interface ReceivedConsumer {
  readonly offer: ConsumerOffer;
  readonly consumer: types.Consumer;
  /** The transports that it comes by. */
  readonly media: MediaSession;
  paused: boolean;
  spatialLayer: number | undefined;
  hiddenSinceMs: number | undefined;
  /** Its node has ended it, or was told to: nobody need let go of it. */
  hasEnded: boolean;
  /** Its track comes another way now, and it goes on for some seconds only. */
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
  /** A consumer is the one that is shown from now on. @param replaces - the one that was, if any */
  readonly promoted: (
    subscription: Subscription,
    item: ReceivedConsumer,
    replaces: ReceivedConsumer | undefined,
  ) => void;
  readonly closed: (item: ReceivedConsumer, reason: CloseReason) => void;
  /** Nothing is received any more. */
  readonly missing: (subscription: Subscription) => void;
  /** The browser gives no statistics, by which one could tell whether something plays. */
  readonly noStats: (thrown: unknown) => void;
}

/** What is received of a track, and what is to be received in its place: the same track another way, or the one that replaces it. */
export class Subscription {
  /** The track that is received, or is to be. */
  trackId: TrackId;
  /** The track that is asked for. */
  #target: TrackId;
  #askedAttempt: number | undefined;
  /** Aborted when it does not matter any more whether the next one plays. */
  #watching: AbortController | undefined;
  #decided: (() => void)[] = [];
  readonly #place: Replaceable<ReceivedConsumer>;

  constructor(trackId: TrackId, environment: SubscriptionEnvironment) {
    this.trackId = trackId;
    this.#target = trackId;
    this.#place = new Replaceable<ReceivedConsumer>({
      // The owner asks, together with others, when its pace allows it.
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

  /** What is received; of a consumer that ended its last picture, while another one is to take its place. */
  get shown(): ReceivedConsumer | undefined {
    const { state } = this.#place;
    return state.phase === 'recovering' ? state.lost : this.#place.current;
  }

  /** It is received already, and has not taken its place yet. */
  get next(): ReceivedConsumer | undefined {
    const { state } = this.#place;
    return state.phase === 'overlapping' ? state.next : undefined;
  }

  /** Whether something is to take the place of what is received, or of nothing. */
  get isBegun(): boolean {
    const { phase } = this.#place.state;
    return phase !== 'empty' && phase !== 'steady';
  }

  /** Whether the edge was asked for it. */
  get isAsked(): boolean {
    return this.isBegun && this.#askedAttempt === this.#place.state.attempt;
  }

  /** The tracks that are being asked for. */
  get inFlight(): readonly TrackId[] {
    return this.isAsked ? [this.trackId, this.#target] : [];
  }

  /** The track is to be asked for when the pace allows it. */
  begin(): void {
    this.#dispatch({ type: 'begin' });
  }

  /** The edge is being asked for a track. @returns the number of this attempt */
  ask(target: TrackId): number {
    this.#dispatch({ type: this.isAsked ? 'begin_anew' : 'begin' });
    this.#target = target;
    this.#askedAttempt = this.#place.state.attempt;
    if (this.shown !== undefined) this.shown.isSuperseded = false;
    return this.#askedAttempt;
  }

  /** @param attempt - the one that it answers; by default the last one */
  opened(item: ReceivedConsumer, attempt = this.#place.state.attempt): void {
    this.#dispatch({ type: 'opened', attempt, item });
  }

  /** What was asked for is not to be had, or ended before it played. @returns whether nothing is left */
  failed(attempt = this.#place.state.attempt): boolean {
    this.#dispatch({ type: 'failed', attempt });
    return this.#place.state.phase === 'empty';
  }

  /** What is received has ended. */
  lost(): void {
    if (this.shown !== undefined) this.shown.hasEnded = true;
    this.#dispatch({ type: 'lost' });
  }

  close(): void {
    this.#dispatch({ type: 'closed' });
  }

  /** Resolves when what was begun has taken its place, or was given up. */
  whenDecided(): Promise<void> {
    if (!this.isBegun) return Promise.resolve();
    return new Promise((resolve) => {
      this.#decided.push(resolve);
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
    this.#place.dispatch(event);
    if (this.next === undefined) this.#watching?.abort();
    if (this.isBegun) return;
    for (const decided of this.#decided.splice(0)) decided();
  }
}
