import { PlenaryError, toPlenaryError } from '@plenary/cluster/errors';
import { Replaceable } from '@plenary/cluster/make-before-break';
import {
  KIND_OF_SOURCE,
  type Epoch,
  type TrackId,
  type TrackSource,
  type WantedLayer,
} from '@plenary/cluster/protocol';
import { Turns } from '@plenary/cluster/turns';
import type { types } from 'mediasoup-client';
import { ValueSync } from './value-sync.ts';
import { announceTrack, isMediaGone, isWorthRetrying, type AnnouncedTrack } from './announce-track.ts';
import type { ClientLog } from './counters.ts';
import type { MediaSession } from './media-session.ts';
import { toPageError } from './page-error.ts';
import type { InterruptibleWait } from './interruptible-wait.ts';
import { newRequestId, type RequestEdge } from './request-edge.ts';
import { SentLayers } from './sent-layers.ts';

/** A track that this client publishes, as the screen shows it. */
export interface LocalTrack {
  readonly source: TrackSource;
  /** `null` while its device is switched off. */
  readonly mediaTrack: MediaStreamTrack | null;
  readonly paused: boolean;
  readonly status: 'waiting' | 'live' | 'failed';
  /** Whether others can receive it in the desired state: the edge has accepted that state, and the transport is connected. */
  readonly isSent: boolean;
  readonly trackId: TrackId | undefined;
  /** The epoch of the track's media session; requests about the track carry it. */
  readonly epoch: Epoch | undefined;
  readonly error: PlenaryError | undefined;
}

/** Why the meeting paused or ended a track: it exceeded a limit, or the meeting gave no reason. */
export type TrackStopReason = 'over_limit' | 'unspecified';

/** A published track, which the edge has named. */
interface SentTrack {
  readonly producer: types.Producer;
  readonly trackId: TrackId;
  readonly media: MediaSession;
}

export interface PublicationEnvironment {
  readonly request: RequestEdge;
  /** Whether an edge is connected. */
  readonly isConnected: () => boolean;
  /** The media session to publish on; `undefined` while there is none. */
  readonly media: () => MediaSession | undefined;
  /** The highest layer that any viewer of the track wants; `undefined` before the edge announced it. */
  readonly demandOf: (trackId: TrackId) => WantedLayer | undefined;
  /** A track was closed here. */
  readonly closed: (trackId: TrackId) => void;
  /** Asks the edge to end a track. */
  readonly endAtEdge: (trackId: TrackId, epoch: Epoch) => void;
  readonly changed: () => void;
  /** A move to another media session may be complete. */
  readonly moveProgressed: () => void;
  readonly published: () => void;
  /** A device or a screen share stopped without a command of the user. */
  readonly ended: (source: TrackSource) => void;
  /** Publishing failed permanently; the user has to publish the source again. */
  readonly failed: (source: TrackSource, error: PlenaryError) => void;
  /** The meeting paused or ended the track. */
  readonly stoppedByMeeting: (source: TrackSource, reason: TrackStopReason) => void;
  /** The media node no longer has the media session of this epoch. */
  readonly mediaLost: (epoch: Epoch) => void;
  /** The wait before another attempt to publish. */
  readonly retryWait: InterruptibleWait;
  readonly log: ClientLog;
}

/** Publishes one source of this client on the current media session. */
export class Publication {
  readonly source: TrackSource;
  readonly #environment: PublicationEnvironment;
  /** The published track. During a move, the track of the old media session goes on until that session is closed. */
  readonly #sent = new Replaceable<SentTrack>({
    open: (attempt) => this.#open(attempt),
    // Viewers may still subscribe to the old track, so it goes on until its media session is closed.
    watch: () => undefined,
    promote: () => undefined,
    close: ({ producer, trackId }) => {
      producer.close();
      this.#environment.closed(trackId);
    },
    missing: () => this.start(),
  });
  #mediaTrack: MediaStreamTrack | null;
  /** The desired state. It takes effect here at once, before the edge accepts it. */
  #paused: boolean;
  /** Keeps `paused` at the edge equal to the desired state. */
  readonly #pauseSync: ValueSync<boolean>;
  /** The value of `paused` that the edge accepted last; `undefined` before the first. */
  #acceptedPaused: boolean | undefined;
  /** A track that the edge no longer has. The next track replaces it, because viewers may still show it. */
  #lostTrackId: TrackId | undefined;
  /** A producer that sends already, before the edge has accepted its track. */
  #unannounced: types.Producer | undefined;
  /**
   * Each change of a producer waits for the previous one. mediasoup-client compares a change with the producer's state, which it updates
   * only after the browser has answered. Otherwise it would drop a change back that is requested while another change is pending.
   */
  readonly #changes = new Turns<types.Producer>();
  readonly #layers: SentLayers;
  #error: PlenaryError | undefined;
  #isWithdrawn = false;

  constructor(
    environment: PublicationEnvironment,
    source: TrackSource,
    mediaTrack: MediaStreamTrack,
    paused: boolean,
  ) {
    this.#environment = environment;
    this.source = source;
    this.#mediaTrack = mediaTrack;
    this.#paused = paused;
    this.#pauseSync = this.#createPauseSync();
    this.#layers = new SentLayers(this.#changes, environment.log);
    if (source === 'screen' && 'contentHint' in mediaTrack) mediaTrack.contentHint = 'detail';
    this.#watchDevice(mediaTrack);
  }

  get paused(): boolean {
    return this.#paused;
  }

  get error(): PlenaryError | undefined {
    return this.#error;
  }

  /** The newest track that the edge has accepted. */
  get trackId(): TrackId | undefined {
    return this.#sent.newest?.trackId;
  }

  /** The newest producer. */
  get producer(): types.Producer | undefined {
    return this.#unannounced ?? this.#sent.newest?.producer;
  }

  /** Whether the newest track is on a media session that is being replaced. */
  get isNewestOnOldSession(): boolean {
    const { newest } = this.#sent;
    return newest !== undefined && newest.media !== this.#environment.media();
  }

  /** Whether a track is on a media session that is being replaced. */
  get isMoving(): boolean {
    const { current } = this.#sent;
    return current !== undefined && current.media !== this.#environment.media();
  }

  /** Whether the old media session must stay open for this source. */
  get needsOldSession(): boolean {
    const { state } = this.#sent;
    if (state.phase !== 'overlapping') return this.isNewestOnOldSession;
    return this.#environment.demandOf(state.current.trackId) !== null;
  }

  get localTrack(): LocalTrack {
    const { newest } = this.#sent;
    const hasPath = this.#environment.media()?.send?.connectionState === 'connected';
    return {
      source: this.source,
      mediaTrack: this.#mediaTrack,
      paused: this.#paused,
      status: this.#error !== undefined ? 'failed' : newest === undefined ? 'waiting' : 'live',
      // During a move, others still receive the track of the old media session.
      isSent: (hasPath || this.isMoving) && newest !== undefined && this.#acceptedPaused === this.#paused,
      trackId: newest?.trackId,
      epoch: newest?.media.epoch,
      error: this.#error,
    };
  }

  /** Publishes the source, unless it is published already, a publication is pending, or it failed. */
  start(): void {
    if (this.#environment.media() === undefined || this.#mediaTrack === null) return;
    if (this.#error === undefined && this.#sent.state.phase === 'empty')
      this.#sent.dispatch({ type: 'begin' });
  }

  /** Publishes the source on the new media session too; its new track replaces the old one. */
  move(): void {
    if (this.#sent.newest !== undefined && this.#mediaTrack !== null) {
      this.#sent.dispatch({ type: 'restart' });
      return;
    }
    // Without a device there is no track to move: the source is published again when the device is back.
    this.#closeTracks();
    this.start();
  }

  /** Completes the move, because the old media session is closed. A source whose replacement failed is published again. */
  completeMove(): void {
    const { phase, attempt } = this.#sent.state;
    if (phase === 'overlapping') this.#sent.dispatch({ type: 'carries', attempt });
    if (!this.isNewestOnOldSession) return;
    this.#pauseSync.reset();
    this.#sent.dispatch({ type: 'lost' });
  }

  /** Closes the tracks, because their media session is gone. The source is published on the next one. */
  detach(): void {
    this.#closeTracks();
    this.#lostTrackId = undefined;
    this.#error = undefined;
  }

  /** Ends the publication permanently. The media track belongs to the caller, who stops it. */
  withdraw(): void {
    this.#isWithdrawn = true;
    this.#endTracks();
  }

  /** Changes the device without a message to the edge; `null` releases the device. */
  async replaceTrack(mediaTrack: MediaStreamTrack | null): Promise<void> {
    if (this.#mediaTrack === mediaTrack) return;
    this.#mediaTrack = mediaTrack;
    if (mediaTrack !== null) this.#watchDevice(mediaTrack);
    this.#environment.changed();
    const live = [...this.#producers()].filter(({ closed }) => !closed);
    if (live.length === 0) this.start();
    try {
      await Promise.all(live.map((producer) => this.#applyDevice(producer)));
    } catch (thrown) {
      // A newer call has closed the publication or set another track.
      if (this.#isWithdrawn || this.#mediaTrack !== mediaTrack) return;
      const { producer } = this;
      if (producer === undefined || !live.includes(producer)) return;
      // The move soon replaces the whole track.
      if (this.#unannounced === undefined && this.isNewestOnOldSession) return;
      this.#environment.log.warn(
        `the device of ${this.source} could not be replaced; the track is published again`,
        thrown,
      );
      this.#republish();
    }
  }

  /** Mutes or unmutes: here at once, for others as soon as the edge has the request. */
  setPaused(paused: boolean): void {
    if (this.#paused === paused) return;
    this.#paused = paused;
    this.#applyPause();
    this.#environment.changed();
    this.reconcile();
  }

  /** The media node has paused the track. It goes on when the user unmutes. */
  pausedByMeeting(): void {
    if (this.trackId === undefined || this.#paused) return;
    this.#paused = true;
    this.#applyPause();
    // A pending unmute may have reached the edge after the pause.
    this.resendPaused();
    this.#environment.changed();
    this.#environment.stoppedByMeeting(this.source, 'over_limit');
  }

  /** The meeting has ended the newest track. The edge needs no request to end it. */
  stopByMeeting(reason: TrackStopReason): void {
    this.#endTracks(this.#sent.newest);
    this.#stop(new PlenaryError(reason === 'over_limit' ? 'limit_reached' : 'forbidden'));
    this.#environment.stoppedByMeeting(this.source, reason);
  }

  /** Sends the desired state if the edge may not have it. */
  reconcile(): void {
    // Until the edge has named the track, the publish request carries the state.
    if (this.trackId !== undefined) this.#pauseSync.sync();
  }

  /** Sends the desired state even if the edge has accepted it already. */
  resendPaused(): void {
    this.#pauseSync.invalidate();
    this.reconcile();
  }

  /** Sends no layer of the newest track above those that viewers want. */
  applyDemand(): void {
    const { newest } = this.#sent;
    if (newest !== undefined) this.#layers.apply(newest.producer, this.#environment.demandOf(newest.trackId));
  }

  #createPauseSync(): ValueSync<boolean> {
    const { request, isConnected, mediaLost, log } = this.#environment;
    return new ValueSync<boolean>({
      name: 'track.pause',
      desired: () => this.#paused,
      send: async (paused) => {
        const { newest } = this.#sent;
        if (newest === undefined) return;
        const { trackId, media } = newest;
        try {
          await request('track.pause', { trackId, paused, epoch: media.epoch });
          this.#acceptedPaused = paused;
          this.#environment.changed();
        } catch (thrown) {
          if (isMediaGone(toPlenaryError(thrown))) mediaLost(media.epoch);
          throw thrown;
        }
      },
      isConnected,
      isWorthRetrying,
      refused: (error) => {
        if (error.code === 'track_not_found') this.#trackNotFound();
        else this.#fail(error);
      },
      log,
    });
  }

  /** The edge no longer has the track, and the client missed the event of its end. */
  #trackNotFound(): void {
    // Only a user who has just unmuted expects to be heard or seen: a new track is published for them.
    if (this.#paused || this.#acceptedPaused === false) {
      this.stopByMeeting('unspecified');
      return;
    }
    const { trackId } = this;
    this.#republish();
    this.#lostTrackId = trackId;
  }

  /** Ends all tracks of the source and publishes it again. */
  #republish(): void {
    this.#endTracks();
    this.#environment.changed();
    this.start();
  }

  /** Stops sending, here and at the edge, so that button, device and edge show the same state. */
  #fail(error: PlenaryError): void {
    this.#endTracks();
    this.#stop(error);
    this.#environment.failed(this.source, error);
  }

  #stop(error: PlenaryError): void {
    this.#error = error;
    this.#paused = true;
    this.#environment.log.warn(`publishing ${this.source} failed`, error);
    this.#environment.changed();
    this.#environment.moveProgressed();
  }

  /** Ends the tracks here and at the edge. @param ended - the track that the edge has already ended */
  #endTracks(ended?: SentTrack): void {
    const sent = new Set([this.#sent.current, this.#sent.newest]);
    this.#closeTracks();
    for (const track of sent)
      if (track !== undefined && track !== ended)
        this.#environment.endAtEdge(track.trackId, track.media.epoch);
  }

  /** Closes the tracks here only. */
  #closeTracks(): void {
    this.#pauseSync.reset();
    this.#closeUnannounced();
    this.#sent.dispatch({ type: 'closed' });
  }

  #closeUnannounced(): void {
    this.#unannounced?.close();
    this.#unannounced = undefined;
  }

  #watchDevice(mediaTrack: MediaStreamTrack): void {
    mediaTrack.addEventListener('ended', () => {
      if (!this.#isWithdrawn && this.#mediaTrack === mediaTrack) this.#environment.ended(this.source);
    });
  }

  #open(attempt: number): void {
    const media = this.#environment.media();
    this.#closeUnannounced();
    if (media === undefined || this.#mediaTrack === null) this.#sent.dispatch({ type: 'failed', attempt });
    // A viewer has no send transport: the publication would wait forever and appear to be sent.
    else if (media.send === undefined)
      this.#fail(new PlenaryError('forbidden', 'This client may not publish anything.'));
    else void this.#publishOn(attempt, media, this.#mediaTrack);
  }

  /** Handles its own errors: they become the publication's state, which the screen shows. */
  async #publishOn(attempt: number, media: MediaSession, mediaTrack: MediaStreamTrack): Promise<void> {
    const requestId = newRequestId();
    try {
      const started = await media.produce(this.source, mediaTrack, requestId);
      if (!this.#sent.awaits(attempt)) {
        started.producer.close();
        return;
      }
      this.#unannounced = started.producer;
      this.#applyPause();
      if (this.#mediaTrack !== mediaTrack) await this.#applyDevice(started.producer);
      const { transportId, rtpParameters } = started;
      const announced = await announceTrack({
        request: this.#environment.request,
        retryWait: this.#environment.retryWait,
        isAwaited: () => this.#sent.awaits(attempt),
        publication: () => ({
          requestId,
          transportId,
          kind: KIND_OF_SOURCE[this.source],
          source: this.source,
          rtpParameters,
          paused: this.#paused,
          replaces: this.#sent.current?.trackId ?? this.#lostTrackId,
          epoch: media.epoch,
        }),
      });
      if (announced !== undefined) this.#announced(attempt, { media, producer: started.producer }, announced);
    } catch (thrown) {
      if (!this.#sent.awaits(attempt)) return;
      const error = toPageError(thrown);
      // The source is published on the next media session.
      if (isMediaGone(error)) this.#environment.mediaLost(media.epoch);
      // The old track goes on, so nothing is lost; the source is published again when that track ends.
      else if (this.#sent.state.phase === 'replacing') {
        this.#closeUnannounced();
        this.#environment.log.warn(`publishing ${this.source} failed`, thrown);
        this.#sent.dispatch({ type: 'failed', attempt });
        this.#environment.changed();
      } else this.#fail(error);
    }
  }

  /** The edge has accepted and named a track. */
  #announced(
    attempt: number,
    { media, producer }: Omit<SentTrack, 'trackId'>,
    { trackId, paused, isCertain }: AnnouncedTrack,
  ): void {
    const isAwaited = this.#sent.awaits(attempt);
    this.#sent.dispatch({ type: 'opened', attempt, item: { producer, trackId, media } });
    if (!isAwaited) {
      // The track is no longer wanted. If its media session was replaced, it has ended already.
      if (this.#environment.media() === media) this.#environment.endAtEdge(trackId, media.epoch);
      return;
    }
    this.#unannounced = undefined;
    this.#acceptedPaused = paused;
    this.#lostTrackId = undefined;
    if (isCertain) this.#pauseSync.confirm(paused);
    else this.#pauseSync.invalidate();
    this.applyDemand();
    this.#environment.moveProgressed();
    this.#environment.changed();
    this.#environment.published();
    this.reconcile();
  }

  /** Sets the media track that is current when the change runs. @throws errors of mediasoup-client */
  #applyDevice(producer: types.Producer): Promise<void> {
    return this.#changes.run(producer, () => producer.replaceTrack({ track: this.#mediaTrack }));
  }

  #applyPause(): void {
    for (const producer of this.#producers()) {
      if (this.#paused) producer.pause();
      else producer.resume();
    }
  }

  #producers(): ReadonlySet<types.Producer> {
    const { current, newest } = this.#sent;
    const producers = [this.#unannounced, newest?.producer, current?.producer];
    return new Set(producers.filter((producer) => producer !== undefined));
  }
}
