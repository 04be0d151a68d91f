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
  type TrackStopReason,
} from './publication.ts';
import type { RequestEdge } from './request-edge.ts';
import { TrackEnder } from './track-ender.ts';

/** Track ends that the user must know. Tracks that end for other reasons are published again on the next media session. */
const STOP_REASONS: Readonly<Partial<Record<TrackEndReason, TrackStopReason>>> = {
  over_limit: 'over_limit',
  // The client's own `track.end` does not come here: its track is forgotten already. Unknown reasons are parsed as this one.
  unpublished: 'unspecified',
};

export interface PublisherEnvironment {
  readonly request: RequestEdge;
  /** Whether an edge is connected. */
  readonly isConnected: () => boolean;
  readonly changed: () => void;
  readonly published: () => void;
  /** A device or a screen share stopped without a command of the user. */
  readonly ended: (source: TrackSource) => void;
  /** Publishing failed permanently; the user has to publish the source again. */
  readonly failed: (source: TrackSource, error: PlenaryError) => void;
  /** The meeting paused or ended the track. */
  readonly stoppedByMeeting: (source: TrackSource, reason: TrackStopReason) => void;
  /** The media node no longer has the media session of this epoch. */
  readonly mediaLost: (epoch: Epoch) => void;
  readonly log: ClientLog;
}

/** Holds the sources that this client publishes, and publishes them on the current media session. */
export class Publisher {
  readonly #publications = new Map<TrackSource, Publication>();
  readonly #environment: PublicationEnvironment;
  readonly #ender: TrackEnder;
  readonly #retryWait = new InterruptibleWait();
  /** The demand for each track, by id, because its notice may arrive before the reply that names the track. */
  readonly #demand = new Map<TrackId, WantedLayer>();
  #media: MediaSession | undefined;
  /** Resolves the pending {@link move}. */
  #moveCompleted: (() => void) | undefined;

  constructor(environment: PublisherEnvironment) {
    this.#ender = new TrackEnder(environment);
    this.#environment = {
      ...environment,
      media: () => this.#media,
      demandOf: (trackId) => this.#demand.get(trackId),
      closed: (trackId) => this.#demand.delete(trackId),
      endAtEdge: (trackId, epoch) => this.#ender.end(trackId, epoch),
      moveProgressed: () => this.#checkMoved(),
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

  /** Publishes all sources on a new media session; their tracks get new ids. */
  attach(media: MediaSession): void {
    this.detach();
    this.#media = media;
    for (const publication of this.#publications.values()) publication.start();
  }

  /**
   * Publishes all sources on another media session too, where each new track replaces the old one. Resolves when nobody watches the old
   * tracks any more, so that they can end unnoticed.
   */
  async move(media: MediaSession): Promise<void> {
    this.#media = media;
    for (const publication of this.#publications.values()) publication.move();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#moveCompleted = resolve;
    this.#checkMoved();
    await promise;
  }

  /** Completes the move, because the old transports are closed. Sources whose replacement failed are published again. */
  completeMove(): void {
    this.#moveCompleted?.();
    this.#moveCompleted = undefined;
    for (const publication of this.#publications.values()) publication.completeMove();
    this.#environment.changed();
  }

  #checkMoved(): void {
    if ([...this.#publications.values()].some(({ needsOldSession: isWaitedFor }) => isWaitedFor)) return;
    this.#moveCompleted?.();
    this.#moveCompleted = undefined;
  }

  /** Closes the tracks, because their transports are gone. The sources are published on the next media session. */
  detach(): void {
    this.#media = undefined;
    this.#moveCompleted?.();
    this.#moveCompleted = undefined;
    this.#ender.clear();
    for (const publication of this.#publications.values()) publication.detach();
    this.#demand.clear();
    this.#retryWait.wakeAll();
    this.#environment.changed();
  }

  /** Publishes a media track. If its source is published already, the new media track replaces the old one. */
  async publish(
    source: TrackSource,
    mediaTrack: MediaStreamTrack,
    options: { readonly paused?: boolean } = {},
  ): Promise<void> {
    const existing = this.#publications.get(source);
    if (existing !== undefined && existing.error === undefined) {
      // Before the asynchronous replacement, so that a mute during it is the newer command.
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

  /** Changes the device of a source without a message to the edge; `null` releases the device. */
  async replaceTrack(source: TrackSource, mediaTrack: MediaStreamTrack | null): Promise<void> {
    await this.#publications.get(source)?.replaceTrack(mediaTrack);
  }

  /** Mutes or unmutes: here at once, for others as soon as the edge has the request. */
  setPaused(source: TrackSource, paused: boolean): void {
    this.#publications.get(source)?.setPaused(paused);
  }

  /** Notes the highest layer that any viewer of a track wants; layers above it are not sent. */
  setDemand(trackId: TrackId, wanted: WantedLayer): void {
    this.#demand.set(trackId, wanted);
    this.#publicationOf(trackId)?.applyDemand();
    this.#checkMoved();
  }

  /** Stops publishing a source. The media track belongs to the caller, who stops it. */
  unpublish(source: TrackSource): void {
    const publication = this.#publications.get(source);
    if (publication === undefined) return;
    this.#publications.delete(source);
    publication.withdraw();
    this.#environment.changed();
    this.#checkMoved();
  }

  /** Handles a `track.ended` event of the room. Tracks of others, and own tracks that were ended here, are ignored. */
  endedByMeeting(trackId: TrackId, reason: TrackEndReason): void {
    const taken = STOP_REASONS[reason];
    if (taken !== undefined) this.#publicationOf(trackId)?.stopByMeeting(taken);
  }

  /** The publication whose newest track this is. A track that a move is replacing is none: news of it do not concern its replacement. */
  #publicationOf(trackId: TrackId): Publication | undefined {
    return [...this.#publications.values()].find(
      (publication) => publication.trackId === trackId && !publication.isNewestOnOldSession,
    );
  }

  /**
   * Verifies the client's own tracks after a snapshot, which follows missed events. A request about each track that is not in the
   * snapshot shows whether it ended, or whether the snapshot is only older than the track.
   */
  verifyTracks(tracks: ReadonlyMap<TrackId, unknown>): void {
    for (const publication of this.#publications.values()) {
      const { trackId, isMoving } = publication;
      if (trackId !== undefined && !isMoving && !tracks.has(trackId)) publication.resendPaused();
    }
  }

  /** The media node has paused all tracks, because together they exceed a limit. Each goes on when the user unmutes it. */
  pausedByMeeting(): void {
    for (const publication of [...this.#publications.values()]) publication.pausedByMeeting();
  }

  /** Repeats requests that the edge may have missed while the client was disconnected. */
  reconcile(): void {
    this.#retryWait.wakeAll();
    this.#ender.reconcile();
    for (const publication of this.#publications.values()) publication.reconcile();
  }
}
