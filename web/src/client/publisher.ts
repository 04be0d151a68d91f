import { PlenaryError, toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import {
  KIND_OF_SOURCE,
  type Epoch,
  type RequestId,
  type TrackEndReason,
  type TrackId,
  type TrackSource,
  type WantedLayer,
} from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import { Agreement } from './agreement.ts';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog } from './counters.ts';
import type { MediaSession, StartedProducer } from './media-session.ts';
import { toPageError } from './page-error.ts';
import { Patience } from './patience.ts';
import { newRequestId, type RequestEdge } from './request-edge.ts';
import { TrackEnder } from './track-ender.ts';

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

interface Published {
  readonly source: TrackSource;
  mediaTrack: MediaStreamTrack | null;
  /** What is wished for. It holds here at once, whatever the edge says. */
  paused: boolean;
  /** The edge's word on `paused`. */
  readonly pause: Agreement<boolean>;
  /** What the edge took last of it; `undefined` before it took any. */
  taken: boolean | undefined;
  /** The track of before, which the edge does not have any more: others may not know that yet. */
  gone: TrackId | undefined;
  requestId: RequestId;
  starting: boolean;
  producer: types.Producer | undefined;
  /** The highest layer that the producer was told to send; absent: all. */
  sentLayer: number | undefined;
  trackId: TrackId | undefined;
  /** Of the media that the track is on. */
  epoch: Epoch | undefined;
  /** The track on the media that is being left: it goes on until nobody watches it. */
  former: { readonly trackId: TrackId; readonly producer: types.Producer; readonly epoch: Epoch } | undefined;
  error: PlenaryError | undefined;
}

/** The session or its media is being begun anew, which publishes everything anew: no fault of the track. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['out_of_order', 'session_gone', 'peer_not_found']);
/** The media node does not have what the track was published on. */
const MEDIA_GONE: ReadonlySet<ErrorCode> = new Set(['media_lost', 'transport_not_found']);

/** Why a meeting pauses or ends what somebody sends: too much of it, or, for reasons of its own, without a word. */
export type TakenReason = 'over_limit' | 'unsaid';
/** Other ends go along with the media, which is opened and published anew. */
const TAKEN: Readonly<Partial<Record<TrackEndReason, TakenReason>>> = {
  over_limit: 'over_limit',
  // One's own `track.end` is no longer waited for here. A reason that a later release gives is read as this one.
  unpublished: 'unsaid',
};

function isWorthRetrying({ retryable, code }: PlenaryError): boolean {
  return retryable || PASSING.has(code);
}

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
  readonly #environment: PublisherEnvironment;
  readonly #entries = new Map<TrackSource, Published>();
  readonly #ender: TrackEnder;
  readonly #patience = new Patience();
  /** What is wanted of each track; kept by id, since the word may come before the answer that names the track. */
  readonly #wanted = new Map<TrackId, WantedLayer>();
  #media: MediaSession | undefined;
  /** Resolves a move that is under way. */
  #moved: (() => void) | undefined;

  constructor(environment: PublisherEnvironment) {
    this.#environment = environment;
    this.#ender = new TrackEnder(environment);
  }

  get localTracks(): ReadonlyMap<TrackSource, LocalTrack> {
    const hasPath = this.#media?.send?.connectionState === 'connected';
    return new Map(
      [...this.#entries].map(([source, entry]) => [
        source,
        {
          source,
          mediaTrack: entry.mediaTrack,
          paused: entry.paused,
          status: entry.error !== undefined ? 'failed' : entry.trackId === undefined ? 'waiting' : 'live',
          // While media moves, others still get the tracks that go by the earlier path.
          isSent:
            (hasPath || entry.former !== undefined) &&
            entry.trackId !== undefined &&
            entry.taken === entry.paused,
          trackId: entry.trackId,
          epoch: entry.epoch,
          error: entry.error,
        } satisfies LocalTrack,
      ]),
    );
  }

  get producers(): readonly { readonly source: TrackSource; readonly producer: types.Producer }[] {
    return [...this.#entries.values()].flatMap(({ source, producer }) =>
      producer === undefined ? [] : [{ source, producer }],
    );
  }

  /** Publishes everything on new transports; their tracks get new ids. */
  attach(media: MediaSession): void {
    this.detach();
    this.#media = media;
    for (const entry of this.#entries.values()) this.#start(entry);
  }

  /**
   * Publishes everything on other transports too, where each track takes the place of the one before it. Resolves when
   * nobody watches those any more, so that they can end unseen.
   */
  async move(media: MediaSession): Promise<void> {
    this.#media = media;
    for (const entry of this.#entries.values()) {
      const { producer, trackId, epoch, mediaTrack } = entry;
      const isLive = producer !== undefined && trackId !== undefined && epoch !== undefined;
      // A source whose device is off has nothing to go on with: it is published again with the device.
      entry.former = isLive && mediaTrack !== null ? { producer, trackId, epoch } : undefined;
      if (entry.former === undefined) this.#unname(entry);
      entry.producer = undefined;
      entry.starting = false;
      entry.requestId = newRequestId();
      this.#start(entry);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#moved = resolve;
    this.#checkMoved();
    await promise;
  }

  /** The transports of before are gone: what could not take its own place is published anew. */
  settle(): void {
    this.#moved?.();
    this.#moved = undefined;
    for (const entry of this.#entries.values()) {
      const { former } = entry;
      entry.former = undefined;
      if (former === undefined) continue;
      this.#wanted.delete(former.trackId);
      if (entry.trackId !== former.trackId) continue;
      this.#unname(entry);
      if (!entry.starting) entry.requestId = newRequestId();
      this.#start(entry);
    }
    this.#environment.changed();
  }

  #checkMoved(): void {
    const isWaitedFor = ({ former, trackId }: Published): boolean =>
      former !== undefined && (trackId === former.trackId || this.#wanted.get(former.trackId) !== null);
    if ([...this.#entries.values()].some(isWaitedFor)) return;
    this.#moved?.();
    this.#moved = undefined;
  }

  /** The transports are gone; what is wanted stays wanted. */
  detach(): void {
    this.#media = undefined;
    this.#moved?.();
    this.#moved = undefined;
    this.#ender.clear();
    this.#wanted.clear();
    for (const entry of this.#entries.values()) {
      this.#unname(entry);
      entry.producer = undefined;
      entry.epoch = undefined;
      entry.former = undefined;
      entry.gone = undefined;
      entry.error = undefined;
      entry.starting = false;
      // A new request: the old id would give the old track, which lives on a node that is gone.
      entry.requestId = newRequestId();
    }
    this.#patience.hurry();
    this.#environment.changed();
  }

  /** Publishes a track, or puts it in the place of the one that is published under this source. */
  async publish(
    source: TrackSource,
    mediaTrack: MediaStreamTrack,
    options: { readonly paused?: boolean } = {},
  ): Promise<void> {
    const existing = this.#entries.get(source);
    if (existing !== undefined && existing.error === undefined) {
      // Before anything that takes time: a mute that comes meanwhile is the newer wish.
      if (options.paused !== undefined) this.setPaused(source, options.paused);
      await this.replaceTrack(source, mediaTrack);
      return;
    }
    const entry: Published = {
      source,
      mediaTrack,
      paused: options.paused ?? false,
      pause: this.#agreement(() => entry),
      taken: undefined,
      gone: undefined,
      requestId: newRequestId(),
      starting: false,
      producer: undefined,
      sentLayer: undefined,
      trackId: undefined,
      epoch: undefined,
      former: undefined,
      error: undefined,
    };
    if (source === 'screen' && 'contentHint' in mediaTrack) mediaTrack.contentHint = 'detail';
    this.#entries.set(source, entry);
    this.#watch(entry, mediaTrack);
    this.#start(entry);
    this.#environment.changed();
  }

  /** Changes the device behind a source without telling anybody; `null` lets go of the device. */
  async replaceTrack(source: TrackSource, mediaTrack: MediaStreamTrack | null): Promise<void> {
    const entry = this.#entries.get(source);
    if (entry === undefined || entry.mediaTrack === mediaTrack) return;
    entry.mediaTrack = mediaTrack;
    if (mediaTrack !== null) this.#watch(entry, mediaTrack);
    this.#environment.changed();
    const live = [entry.producer, entry.former?.producer]
      .filter((producer) => producer !== undefined)
      .filter(({ closed }) => !closed);
    if (live.length === 0) this.#start(entry);
    try {
      await Promise.all(live.map((producer) => producer.replaceTrack({ track: mediaTrack })));
    } catch (thrown) {
      // Closed, or given another track meanwhile: that was a newer wish.
      if (this.#entries.get(source) !== entry || entry.mediaTrack !== mediaTrack) return;
      if (entry.producer === undefined || !live.includes(entry.producer)) return;
      this.#environment.log.warn(`the ${source} could not be put in the place of the one before`, thrown);
      this.#renew(entry);
    }
  }

  /** Mutes or unmutes. Takes effect here at once, and at the others as soon as the edge is told. */
  setPaused(source: TrackSource, paused: boolean): void {
    const entry = this.#entries.get(source);
    if (entry === undefined || entry.paused === paused) return;
    entry.paused = paused;
    this.#applyPause(entry);
    this.#environment.changed();
    this.#seekPause(entry);
  }

  /** What all who watch a track want of it: layers above that are not sent. */
  setWanted(trackId: TrackId, wanted: WantedLayer): void {
    this.#wanted.set(trackId, wanted);
    const entry = [...this.#entries.values()].find((published) => published.trackId === trackId);
    // What is wanted of a track that is being left says nothing of the one that takes its place.
    if (entry !== undefined && entry.former?.trackId !== trackId) this.#applyWanted(entry, trackId);
    this.#checkMoved();
  }

  /** Stops publishing. The track itself belongs to the caller, who stops it. */
  unpublish(source: TrackSource): void {
    const entry = this.#entries.get(source);
    if (entry === undefined) return;
    this.#entries.delete(source);
    this.#endTracks(entry);
    this.#environment.changed();
    this.#checkMoved();
  }

  /** The room tells that a track has ended; nothing happens where the track is another person's, or was to end. */
  endedByMeeting(trackId: TrackId, reason: TrackEndReason): void {
    const taken = TAKEN[reason];
    const entry = [...this.#entries.values()].find((published) => published.trackId === trackId);
    // While media moves, the track that is being left says nothing of the one that takes its place.
    if (taken === undefined || entry === undefined || entry.former?.trackId === trackId) return;
    this.#takeAway(entry, taken);
  }

  /**
   * The room was told of as a whole, after news of it were missed. Of a track of one's own that is not in it the edge is asked, since
   * the end may be among them, or the room may have been looked at before the track was published.
   */
  lookFor(tracks: ReadonlyMap<TrackId, unknown>): void {
    for (const entry of this.#entries.values()) {
      if (entry.trackId === undefined || entry.former !== undefined || tracks.has(entry.trackId)) continue;
      entry.pause.beginUnsure();
      this.#seekPause(entry);
    }
  }

  /** The meeting has ended it, as the edge knows. */
  #takeAway(entry: Published, reason: TakenReason): void {
    const { trackId } = entry;
    this.#unname(entry);
    if (trackId !== undefined) this.#wanted.delete(trackId);
    this.#stop(entry, new PlenaryError(reason === 'over_limit' ? 'limit_reached' : 'forbidden'));
    this.#environment.taken(entry.source, reason);
  }

  /** The media node has paused all tracks, since together they are too much. Each goes on when it is unmuted. */
  pausedByMeeting(): void {
    for (const entry of [...this.#entries.values()]) {
      if (entry.trackId === undefined || entry.paused) continue;
      entry.paused = true;
      this.#applyPause(entry);
      // An unmute that was under way may have come after it.
      entry.pause.beginUnsure();
      this.#seekPause(entry);
      this.#environment.changed();
      this.#environment.taken(entry.source, 'over_limit');
    }
  }

  /** Tells the edge again what it may have missed while it was away. */
  reconcile(): void {
    this.#patience.hurry();
    this.#ender.reconcile();
    for (const entry of this.#entries.values()) this.#seekPause(entry);
  }

  #agreement(entry: () => Published): Agreement<boolean> {
    const { request, isConnected, mediaLost, log } = this.#environment;
    return new Agreement<boolean>({
      what: 'track.pause',
      wished: () => entry().paused,
      tell: async (paused) => {
        const { trackId, epoch } = entry();
        if (trackId === undefined) return;
        try {
          await request('track.pause', { trackId, paused, epoch });
          entry().taken = paused;
          this.#environment.changed();
        } catch (thrown) {
          if (epoch !== undefined && MEDIA_GONE.has(toPlenaryError(thrown).code)) mediaLost(epoch);
          throw thrown;
        }
      },
      isConnected,
      isWorthRetrying,
      refused: (error) => {
        if (error.code === 'track_not_found') this.#notFound(entry());
        else this.#fail(entry(), error);
      },
      log,
    });
  }

  /** The edge does not have the track any more, and what it said of that was missed. */
  #notFound(entry: Published): void {
    // Only who has just unmuted is to be heard or seen from now on: with a new track, both agree again.
    if (entry.paused || entry.taken === false) {
      this.#takeAway(entry, 'unsaid');
      return;
    }
    const { trackId } = entry;
    this.#renew(entry);
    entry.gone = trackId;
  }

  #seekPause({ trackId, pause }: Published): void {
    // Before the edge has named the track, the publication itself carries the wish.
    if (trackId !== undefined) pause.seek();
  }

  /** The edge has no track of it any more. */
  #unname(entry: Published): void {
    entry.trackId = undefined;
    entry.pause.end();
  }

  /** Ends what there is of it, and publishes it anew. */
  #renew(entry: Published): void {
    this.#endTracks(entry);
    entry.requestId = newRequestId();
    entry.starting = false;
    this.#environment.changed();
    this.#start(entry);
  }

  /** Nothing is sent from now on, at the others neither: button, device and edge are to agree. */
  #fail(entry: Published, error: PlenaryError): void {
    this.#stop(entry, error);
    this.#environment.failed(entry.source, error);
  }

  #stop(entry: Published, error: PlenaryError): void {
    this.#endTracks(entry);
    entry.error = error;
    entry.paused = true;
    this.#environment.log.warn(`publishing ${entry.source} failed`, error);
    this.#environment.changed();
    this.#checkMoved();
  }

  #endTracks(entry: Published): void {
    const { producer, former, trackId, epoch } = entry;
    entry.producer = undefined;
    entry.former = undefined;
    this.#unname(entry);
    producer?.close();
    former?.producer.close();
    for (const track of [{ trackId, epoch }, former]) {
      if (track?.trackId === undefined) continue;
      this.#wanted.delete(track.trackId);
      this.#ender.end(track.trackId, track.epoch);
    }
  }

  #watch(entry: Published, mediaTrack: MediaStreamTrack): void {
    mediaTrack.addEventListener('ended', () => {
      if (this.#entries.get(entry.source) !== entry || entry.mediaTrack !== mediaTrack) return;
      this.#environment.ended(entry.source);
    });
  }

  #start(entry: Published): void {
    const media = this.#media;
    if (
      media === undefined ||
      entry.mediaTrack === null ||
      entry.error !== undefined ||
      entry.starting ||
      entry.producer !== undefined
    )
      return;
    if (media.send === undefined) {
      // A viewer: it would wait for ever, and look as if it were sent.
      this.#fail(entry, new PlenaryError('forbidden', 'This client may not publish anything.'));
      return;
    }
    entry.starting = true;
    void this.#run(media, entry, entry.mediaTrack);
  }

  /** Handles its own errors: they are the entry's state, which the screen shows. */
  async #run(media: MediaSession, entry: Published, mediaTrack: MediaStreamTrack): Promise<void> {
    const { requestId } = entry;
    const isCurrent = (): boolean =>
      this.#media === media && this.#entries.get(entry.source) === entry && entry.requestId === requestId;
    try {
      const started = await media.produce(entry.source, mediaTrack, entry.requestId);
      if (!isCurrent()) {
        started.producer.close();
        return;
      }
      entry.producer = started.producer;
      entry.sentLayer = undefined;
      this.#applyPause(entry);
      if (entry.mediaTrack !== mediaTrack) await started.producer.replaceTrack({ track: entry.mediaTrack });
      await this.#announce(entry, started, media.epoch, isCurrent);
    } catch (thrown) {
      if (!isCurrent()) return;
      const error = toPageError(thrown);
      if (MEDIA_GONE.has(error.code)) {
        // It is published on what is opened instead.
        this.#environment.mediaLost(media.epoch);
        return;
      }
      if (entry.former === undefined) {
        this.#fail(entry, error);
        return;
      }
      // While the track of before goes on nothing is lost; it is published anew when that ends.
      entry.producer?.close();
      entry.producer = undefined;
      this.#environment.log.warn(`publishing ${entry.source} failed`, thrown);
      this.#environment.changed();
    } finally {
      if (isCurrent()) entry.starting = false;
    }
  }

  async #announce(
    entry: Published,
    { transportId, rtpParameters }: StartedProducer,
    epoch: Epoch,
    isCurrent: () => boolean,
  ): Promise<void> {
    const { requestId, source } = entry;
    for (let attempt = 0; ; attempt += 1) {
      const paused = entry.paused;
      try {
        const { trackId } = await this.#environment.request('track.publish', {
          requestId,
          transportId,
          kind: KIND_OF_SOURCE[source],
          source,
          rtpParameters,
          paused,
          replaces: entry.former?.trackId ?? entry.gone,
          epoch,
        });
        if (!isCurrent()) {
          // Stopped meanwhile: the edge has a track that nobody wants. With other transports it is gone anyway.
          if (this.#media?.send?.id === transportId) this.#ender.end(trackId, epoch);
          return;
        }
        entry.trackId = trackId;
        entry.epoch = epoch;
        entry.taken = paused;
        entry.gone = undefined;
        // An earlier attempt may have got through with another value.
        if (attempt === 0) entry.pause.begin(paused);
        else entry.pause.beginUnsure();
        this.#applyWanted(entry, trackId);
        this.#checkMoved();
        this.#environment.changed();
        this.#environment.published();
        this.#seekPause(entry);
        return;
      } catch (thrown) {
        const error = toPlenaryError(thrown);
        if (!isWorthRetrying(error) || MEDIA_GONE.has(error.code) || !isCurrent()) throw error;
        await this.#patience.wait(100 + fullJitterMs(attempt, RETRY_BACKOFF, Math.random()));
        if (!isCurrent()) return;
      }
    }
  }

  #applyPause(entry: Published): void {
    for (const producer of [entry.producer, entry.former?.producer]) {
      if (entry.paused) producer?.pause();
      else producer?.resume();
    }
  }

  /** Handles its own errors: what is sent beyond need costs bandwidth, and nothing else. */
  #applyWanted(entry: Published, trackId: TrackId): void {
    const { producer } = entry;
    const layers = producer?.rtpParameters.encodings?.length ?? 0;
    const wanted = this.#wanted.get(trackId);
    if (producer === undefined || producer.closed || layers < 2 || wanted === undefined) return;
    // While nobody watches the lowest layer goes on, so that who looks next sees something at once.
    const highest = Math.min(wanted ?? 0, layers - 1);
    // Not the producer's own `maxSpatialLayer`: that follows only once the browser has answered.
    if (highest === (entry.sentLayer ?? layers - 1)) return;
    entry.sentLayer = highest;
    producer.setMaxSpatialLayer(highest).catch((thrown: unknown) => {
      if (!producer.closed) this.#environment.log.warn('the layers could not be changed', thrown);
    });
  }
}
