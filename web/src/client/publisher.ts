import type { PlenaryError } from '@plenary/cluster/errors';
import type { Epoch, TrackEndReason, TrackId, TrackSource, WantedLayer } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import type { ClientLog } from './counters.ts';
import type { MediaSession } from './media-session.ts';
import { InterruptibleWait } from './interruptible-wait.ts';
import {
  Publication,
  type LocalTrack,
  type PublicationEnvironment,
  type TakenReason,
} from './publication.ts';
import type { RequestEdge } from './request-edge.ts';
import { TrackEnder } from './track-ender.ts';

/** Other ends go along with the media, which is opened and published anew. */
const TAKEN: Readonly<Partial<Record<TrackEndReason, TakenReason>>> = {
  over_limit: 'over_limit',
  // One's own `track.end` is no longer waited for here. A reason that a later release gives is read as this one.
  unpublished: 'unsaid',
};

export interface PublisherEnvironment {
  readonly request: RequestEdge;
  /** Whether an edge listens. */
  readonly isConnected: () => boolean;
  readonly changed: () => void;
  readonly published: () => void;
  /** A device or a screen share stopped by itself. */
  readonly ended: (source: TrackSource) => void;
  /** The source is not published, and will not be until it is asked for anew. */
  readonly failed: (source: TrackSource, error: PlenaryError) => void;
  /** The meeting paused or ended it. */
  readonly taken: (source: TrackSource, reason: TakenReason) => void;
  /** The media node does not host the media of this epoch any more. */
  readonly mediaLost: (epoch: Epoch) => void;
  readonly log: ClientLog;
}

/** Holds the tracks that this client wants to publish, and publishes them on whatever transport there is. */
export class Publisher {
  readonly #publications = new Map<TrackSource, Publication>();
  readonly #environment: PublicationEnvironment;
  readonly #ender: TrackEnder;
  readonly #retryWait = new InterruptibleWait();
  /** What is wanted of each track; kept by id, since the word may come before the answer that names the track. */
  readonly #wanted = new Map<TrackId, WantedLayer>();
  #media: MediaSession | undefined;
  /** Resolves a move that is under way. */
  #moved: (() => void) | undefined;

  constructor(environment: PublisherEnvironment) {
    this.#ender = new TrackEnder(environment);
    this.#environment = {
      ...environment,
      media: () => this.#media,
      wantedOf: (trackId) => this.#wanted.get(trackId),
      closed: (trackId) => this.#wanted.delete(trackId),
      endAtEdge: (trackId, epoch) => this.#ender.end(trackId, epoch),
      progressed: () => this.#checkMoved(),
      retryWait: this.#retryWait,
    };
  }

  get localTracks(): ReadonlyMap<TrackSource, LocalTrack> {
    return new Map([...this.#publications].map(([source, { localTrack }]) => [source, localTrack]));
  }

  get producers(): readonly { readonly source: TrackSource; readonly producer: types.Producer }[] {
    return [...this.#publications.values()].flatMap(({ source, producer }) =>
      producer === undefined ? [] : [{ source, producer }],
    );
  }

  /** Publishes everything on new transports; their tracks get new ids. */
  attach(media: MediaSession): void {
    this.detach();
    this.#media = media;
    for (const publication of this.#publications.values()) publication.start();
  }

  /**
   * Publishes everything on other transports too, where each track takes the place of the one before it. Resolves when
   * nobody watches those any more, so that they can end unseen.
   */
  async move(media: MediaSession): Promise<void> {
    this.#media = media;
    for (const publication of this.#publications.values()) publication.move();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#moved = resolve;
    this.#checkMoved();
    await promise;
  }

  /** The transports of before are gone: what could not take its own place is published anew. */
  completeMove(): void {
    this.#moved?.();
    this.#moved = undefined;
    for (const publication of this.#publications.values()) publication.completeMove();
    this.#environment.changed();
  }

  #checkMoved(): void {
    if ([...this.#publications.values()].some(({ isWaitedFor }) => isWaitedFor)) return;
    this.#moved?.();
    this.#moved = undefined;
  }

  /** The transports are gone; what is wanted stays wanted. */
  detach(): void {
    this.#media = undefined;
    this.#moved?.();
    this.#moved = undefined;
    this.#ender.clear();
    for (const publication of this.#publications.values()) publication.detach();
    this.#wanted.clear();
    this.#retryWait.wakeAll();
    this.#environment.changed();
  }

  /** Publishes a track, or puts it in the place of the one that is published under this source. */
  async publish(
    source: TrackSource,
    mediaTrack: MediaStreamTrack,
    options: { readonly paused?: boolean } = {},
  ): Promise<void> {
    const existing = this.#publications.get(source);
    if (existing !== undefined && existing.error === undefined) {
      // Before anything that takes time: a mute that comes meanwhile is the newer wish.
      if (options.paused !== undefined) existing.setPaused(options.paused);
      await existing.replaceTrack(mediaTrack);
      return;
    }
    existing?.withdraw();
    const publication = new Publication(this.#environment, source, mediaTrack, options.paused ?? false);
    this.#publications.set(source, publication);
    publication.start();
    this.#environment.changed();
  }

  /** Changes the device behind a source without telling anybody; `null` lets go of the device. */
  async replaceTrack(source: TrackSource, mediaTrack: MediaStreamTrack | null): Promise<void> {
    await this.#publications.get(source)?.replaceTrack(mediaTrack);
  }

  /** Mutes or unmutes. Takes effect here at once, and at the others as soon as the edge is told. */
  setPaused(source: TrackSource, paused: boolean): void {
    this.#publications.get(source)?.setPaused(paused);
  }

  /** What all who watch a track want of it: layers above that are not sent. */
  setWanted(trackId: TrackId, wanted: WantedLayer): void {
    this.#wanted.set(trackId, wanted);
    this.#withTrack(trackId)?.applyWanted();
    this.#checkMoved();
  }

  /** Stops publishing. The track itself belongs to the caller, who stops it. */
  unpublish(source: TrackSource): void {
    const publication = this.#publications.get(source);
    if (publication === undefined) return;
    this.#publications.delete(source);
    publication.withdraw();
    this.#environment.changed();
    this.#checkMoved();
  }

  /** The room tells that a track has ended; nothing happens where the track is another person's, or was to end. */
  endedByMeeting(trackId: TrackId, reason: TrackEndReason): void {
    const taken = TAKEN[reason];
    if (taken !== undefined) this.#withTrack(trackId)?.takeAway(taken);
  }

  /** Whose newest track it is. Of one that is being left nothing is said of the one that takes its place. */
  #withTrack(trackId: TrackId): Publication | undefined {
    return [...this.#publications.values()].find((one) => one.trackId === trackId && !one.isLeft);
  }

  /**
   * The room was told of as a whole, after news of it were missed. Of a track of one's own that is not in it the edge is asked, since
   * the end may be among them, or the room may have been looked at before the track was published.
   */
  lookFor(tracks: ReadonlyMap<TrackId, unknown>): void {
    for (const publication of this.#publications.values()) {
      const { trackId, isMoving } = publication;
      if (trackId !== undefined && !isMoving && !tracks.has(trackId)) publication.tellAgain();
    }
  }

  /** The media node has paused all tracks, since together they are too much. Each goes on when it is unmuted. */
  pausedByMeeting(): void {
    for (const publication of [...this.#publications.values()]) publication.pausedByMeeting();
  }

  /** Tells the edge again what it may have missed while it was away. */
  reconcile(): void {
    this.#retryWait.wakeAll();
    this.#ender.reconcile();
    for (const publication of this.#publications.values()) publication.reconcile();
  }
}
