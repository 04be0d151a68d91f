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

/** A track of one's own, as the screen needs it. */
export interface LocalTrack {
  readonly source: TrackSource;
  /** `null` while its device is switched off. */
  readonly mediaTrack: MediaStreamTrack | null;
  readonly paused: boolean;
  readonly status: 'waiting' | 'live' | 'failed';
  /** Whether the others can get it as it is wished for: the edge has taken it, and a path to the media node stands. */
  readonly isSent: boolean;
  readonly trackId: TrackId | undefined;
  /** Of the media that the track is on: what is asked of it names it. */
  readonly epoch: Epoch | undefined;
  readonly error: PlenaryError | undefined;
}

/** Why a meeting pauses or ends what somebody sends: too much of it, or, for reasons of its own, without a word. */
export type TakenReason = 'over_limit' | 'unsaid';

/** What is published by one media session, as the edge knows it. */
interface SentTrack {
  readonly producer: types.Producer;
  readonly trackId: TrackId;
  readonly media: MediaSession;
}

export interface PublicationEnvironment {
  readonly request: RequestEdge;
  /** Whether an edge listens. */
  readonly isConnected: () => boolean;
  /** What is to be published on; `undefined` while there is none. */
  readonly media: () => MediaSession | undefined;
  /** What all who watch a track want of it; `undefined` before it was told. */
  readonly wantedOf: (trackId: TrackId) => WantedLayer | undefined;
  /** A track has ended here. */
  readonly closed: (trackId: TrackId) => void;
  /** The edge is to end a track. */
  readonly endAtEdge: (trackId: TrackId, epoch: Epoch) => void;
  readonly changed: () => void;
  /** A move may be over. */
  readonly progressed: () => void;
  readonly published: () => void;
  /** A device or a screen share stopped by itself. */
  readonly ended: (source: TrackSource) => void;
  /** The source is not published, and will not be until it is asked for anew. */
  readonly failed: (source: TrackSource, error: PlenaryError) => void;
  /** The meeting paused or ended it. */
  readonly taken: (source: TrackSource, reason: TakenReason) => void;
  /** The media node does not host the media of this epoch any more. */
  readonly mediaLost: (epoch: Epoch) => void;
  /** Pauses before a publication is tried again. */
  readonly retryWait: InterruptibleWait;
  readonly log: ClientLog;
}

/** What this client publishes under one source, on whatever media there is. */
export class Publication {
  readonly source: TrackSource;
  readonly #environment: PublicationEnvironment;
  /** The track that the others get. One on media that is being left goes on until that media is closed. */
  readonly #sent = new Replaceable<SentTrack>({
    open: (attempt) => this.#open(attempt),
    // Nobody may watch the older one any more, and somebody may look at it yet: it carries until its media is closed.
    watch: () => undefined,
    promote: () => undefined,
    close: ({ producer, trackId }) => {
      producer.close();
      this.#environment.closed(trackId);
    },
    missing: () => this.start(),
  });
  #mediaTrack: MediaStreamTrack | null;
  /** What is wished for. It holds here at once, whatever the edge says. */
  #paused: boolean;
  /** The edge's word on `paused`. */
  readonly #pauseSync: ValueSync<boolean>;
  /** What the edge took last of it; `undefined` before it took any. */
  #taken: boolean | undefined;
  /** The track of before, which the edge does not have any more: others may not know that yet. */
  #gone: TrackId | undefined;
  /** It sends already, and the edge does not know of it yet. */
  #started: types.Producer | undefined;
  /**
   * Each change of a producer waits for the one before it. mediasoup-client compares a change with the producer's state, and that follows
   * only once the browser has answered: a change back, asked for while a change is under way, would be dropped.
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
    this.#watch(mediaTrack);
  }

  get paused(): boolean {
    return this.#paused;
  }

  get error(): PlenaryError | undefined {
    return this.#error;
  }

  /** The newest track of it that the edge has. */
  get trackId(): TrackId | undefined {
    return this.#sent.newest?.trackId;
  }

  /** The newest producer. */
  get producer(): types.Producer | undefined {
    return this.#started ?? this.#sent.newest?.producer;
  }

  /** Whether its newest track is on media that is being left. */
  get isLeft(): boolean {
    const { newest } = this.#sent;
    return newest !== undefined && newest.media !== this.#environment.media();
  }

  /** Whether one of its tracks is on media that is being left. */
  get isMoving(): boolean {
    const { current } = this.#sent;
    return current !== undefined && current.media !== this.#environment.media();
  }

  /** Whether media that is being left has to go on for it. */
  get isWaitedFor(): boolean {
    const { state } = this.#sent;
    if (state.phase !== 'overlapping') return this.isLeft;
    return this.#environment.wantedOf(state.current.trackId) !== null;
  }

  get localTrack(): LocalTrack {
    const { newest } = this.#sent;
    const hasPath = this.#environment.media()?.send?.connectionState === 'connected';
    return {
      source: this.source,
      mediaTrack: this.#mediaTrack,
      paused: this.#paused,
      status: this.#error !== undefined ? 'failed' : newest === undefined ? 'waiting' : 'live',
      // While media moves, others still get the tracks that go by the earlier path.
      isSent: (hasPath || this.isMoving) && newest !== undefined && this.#taken === this.#paused,
      trackId: newest?.trackId,
      epoch: newest?.media.epoch,
      error: this.#error,
    };
  }

  /** Publishes it, unless it is published, or is being so, or cannot be. */
  start(): void {
    if (this.#environment.media() === undefined || this.#mediaTrack === null) return;
    if (this.#error === undefined && this.#sent.state.phase === 'empty')
      this.#sent.dispatch({ type: 'begin' });
  }

  /** Publishes it on other media too, where its track takes the place of the one before it. */
  move(): void {
    if (this.#sent.newest !== undefined && this.#mediaTrack !== null) {
      this.#sent.dispatch({ type: 'begin_anew' });
      return;
    }
    // A source whose device is off has nothing to go on with: it is published again with the device.
    this.#drop();
    this.start();
  }

  /** The media of before is gone: what could not take its own place is published anew. */
  completeMove(): void {
    const { phase, attempt } = this.#sent.state;
    if (phase === 'overlapping') this.#sent.dispatch({ type: 'carries', attempt });
    if (!this.isLeft) return;
    this.#pauseSync.reset();
    this.#sent.dispatch({ type: 'lost' });
  }

  /** Its media is gone; what is wanted stays wanted. */
  detach(): void {
    this.#drop();
    this.#gone = undefined;
    this.#error = undefined;
  }

  /** Ends it for good. The track itself belongs to the caller, who stops it. */
  withdraw(): void {
    this.#isWithdrawn = true;
    this.#endTracks();
  }

  /** Changes the device behind it without telling anybody; `null` lets go of the device. */
  async replaceTrack(mediaTrack: MediaStreamTrack | null): Promise<void> {
    if (this.#mediaTrack === mediaTrack) return;
    this.#mediaTrack = mediaTrack;
    if (mediaTrack !== null) this.#watch(mediaTrack);
    this.#environment.changed();
    const live = [...this.#producers()].filter(({ closed }) => !closed);
    if (live.length === 0) this.start();
    try {
      await Promise.all(live.map((producer) => this.#putDevice(producer)));
    } catch (thrown) {
      // Closed, or given another track meanwhile: that was a newer wish.
      if (this.#isWithdrawn || this.#mediaTrack !== mediaTrack) return;
      const { producer } = this;
      if (producer === undefined || !live.includes(producer)) return;
      // What is being left is soon replaced as a whole.
      if (this.#started === undefined && this.isLeft) return;
      this.#environment.log.warn(
        `the ${this.source} could not be put in the place of the one before`,
        thrown,
      );
      this.#renew();
    }
  }

  /** Mutes or unmutes. Takes effect here at once, and at the others as soon as the edge is told. */
  setPaused(paused: boolean): void {
    if (this.#paused === paused) return;
    this.#paused = paused;
    this.#applyPause();
    this.#environment.changed();
    this.reconcile();
  }

  /** The media node has paused it. It goes on when it is unmuted. */
  pausedByMeeting(): void {
    if (this.trackId === undefined || this.#paused) return;
    this.#paused = true;
    this.#applyPause();
    // An unmute that was under way may have come after it.
    this.tellAgain();
    this.#environment.changed();
    this.#environment.taken(this.source, 'over_limit');
  }

  /** The meeting has ended its newest track, as the edge knows. */
  takeAway(reason: TakenReason): void {
    this.#endTracks(this.#sent.newest);
    this.#stop(new PlenaryError(reason === 'over_limit' ? 'limit_reached' : 'forbidden'));
    this.#environment.taken(this.source, reason);
  }

  /** Tells the edge what it may not have taken yet. */
  reconcile(): void {
    // Before the edge has named the track, the publication itself carries the wish.
    if (this.trackId !== undefined) this.#pauseSync.sync();
  }

  /** Tells the edge also what it took. */
  tellAgain(): void {
    this.#pauseSync.invalidate();
    this.reconcile();
  }

  /** Sends what is wanted of its newest track, and no more. */
  applyWanted(): void {
    const { newest } = this.#sent;
    if (newest !== undefined) this.#layers.apply(newest.producer, this.#environment.wantedOf(newest.trackId));
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
          this.#taken = paused;
          this.#environment.changed();
        } catch (thrown) {
          if (isMediaGone(toPlenaryError(thrown))) mediaLost(media.epoch);
          throw thrown;
        }
      },
      isConnected,
      isWorthRetrying,
      refused: (error) => {
        if (error.code === 'track_not_found') this.#notFound();
        else this.#fail(error);
      },
      log,
    });
  }

  /** The edge does not have the track any more, and what it said of that was missed. */
  #notFound(): void {
    // Only who has just unmuted is to be heard or seen from now on: with a new track, both agree again.
    if (this.#paused || this.#taken === false) {
      this.takeAway('unsaid');
      return;
    }
    const { trackId } = this;
    this.#renew();
    this.#gone = trackId;
  }

  /** Ends what there is of it, and publishes it anew. */
  #renew(): void {
    this.#endTracks();
    this.#environment.changed();
    this.start();
  }

  /** Nothing is sent from now on, at the others neither: button, device and edge are to agree. */
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
    this.#environment.progressed();
  }

  /** Ends its tracks here and at the edge. @param ended - the one that the edge has ended itself */
  #endTracks(ended?: SentTrack): void {
    const sent = new Set([this.#sent.current, this.#sent.newest]);
    this.#drop();
    for (const track of sent)
      if (track !== undefined && track !== ended)
        this.#environment.endAtEdge(track.trackId, track.media.epoch);
  }

  /** Ends its tracks here. */
  #drop(): void {
    this.#pauseSync.reset();
    this.#closeStarted();
    this.#sent.dispatch({ type: 'closed' });
  }

  #closeStarted(): void {
    this.#started?.close();
    this.#started = undefined;
  }

  #watch(mediaTrack: MediaStreamTrack): void {
    mediaTrack.addEventListener('ended', () => {
      if (!this.#isWithdrawn && this.#mediaTrack === mediaTrack) this.#environment.ended(this.source);
    });
  }

  #open(attempt: number): void {
    const media = this.#environment.media();
    this.#closeStarted();
    if (media === undefined || this.#mediaTrack === null) this.#sent.dispatch({ type: 'failed', attempt });
    // A viewer: it would wait for ever, and look as if it were sent.
    else if (media.send === undefined)
      this.#fail(new PlenaryError('forbidden', 'This client may not publish anything.'));
    else void this.#run(attempt, media, this.#mediaTrack);
  }

  /** Handles its own errors: they are the publication's state, which the screen shows. */
  async #run(attempt: number, media: MediaSession, mediaTrack: MediaStreamTrack): Promise<void> {
    const requestId = newRequestId();
    try {
      const started = await media.produce(this.source, mediaTrack, requestId);
      if (!this.#sent.awaits(attempt)) {
        started.producer.close();
        return;
      }
      this.#started = started.producer;
      this.#applyPause();
      if (this.#mediaTrack !== mediaTrack) await this.#putDevice(started.producer);
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
          replaces: this.#sent.current?.trackId ?? this.#gone,
          epoch: media.epoch,
        }),
      });
      if (announced !== undefined) this.#announced(attempt, { media, producer: started.producer }, announced);
    } catch (thrown) {
      if (!this.#sent.awaits(attempt)) return;
      const error = toPageError(thrown);
      // It is published on what is opened instead.
      if (isMediaGone(error)) this.#environment.mediaLost(media.epoch);
      // While the track of before goes on nothing is lost; it is published anew when that ends.
      else if (this.#sent.state.phase === 'replacing') {
        this.#closeStarted();
        this.#environment.log.warn(`publishing ${this.source} failed`, thrown);
        this.#sent.dispatch({ type: 'failed', attempt });
        this.#environment.changed();
      } else this.#fail(error);
    }
  }

  /** The edge has named a track. */
  #announced(
    attempt: number,
    { media, producer }: Omit<SentTrack, 'trackId'>,
    { trackId, paused, isCertain: isSure }: AnnouncedTrack,
  ): void {
    const isAwaited = this.#sent.awaits(attempt);
    this.#sent.dispatch({ type: 'opened', attempt, item: { producer, trackId, media } });
    if (!isAwaited) {
      // The edge has a track that nobody wants. With other transports it is gone anyway.
      if (this.#environment.media() === media) this.#environment.endAtEdge(trackId, media.epoch);
      return;
    }
    this.#started = undefined;
    this.#taken = paused;
    this.#gone = undefined;
    if (isSure) this.#pauseSync.confirm(paused);
    else this.#pauseSync.invalidate();
    this.applyWanted();
    this.#environment.progressed();
    this.#environment.changed();
    this.#environment.published();
    this.reconcile();
  }

  /** Has a producer send what the device gives by then. @throws what mediasoup-client throws */
  #putDevice(producer: types.Producer): Promise<void> {
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
    const producers = [this.#started, newest?.producer, current?.producer];
    return new Set(producers.filter((producer) => producer !== undefined));
  }
}
