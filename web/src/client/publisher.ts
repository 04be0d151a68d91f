import { toPlenaryError, type PlenaryError } from '@plenary/cluster/errors';
import {
  KIND_OF_SOURCE,
  type Epoch,
  type RequestId,
  type TrackId,
  type TrackSource,
  type WantedLayer,
} from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog } from './counters.ts';
import type { MediaSession, StartedProducer } from './media-session.ts';
import { newRequestId, type RequestEdge } from './request-edge.ts';

/** A track of one's own, as the screen needs it. */
export interface LocalTrack {
  readonly source: TrackSource;
  /** `null` while its device is switched off. */
  readonly mediaTrack: MediaStreamTrack | null;
  readonly paused: boolean;
  readonly status: 'waiting' | 'live' | 'failed';
  readonly trackId: TrackId | undefined;
  /** Of the media that the track is on: what is asked of it names it. */
  readonly epoch: Epoch | undefined;
  readonly error: PlenaryError | undefined;
}

interface Published {
  readonly source: TrackSource;
  mediaTrack: MediaStreamTrack | null;
  paused: boolean;
  /** What the edge was last told of `paused`. */
  pausedAtEdge: boolean;
  telling: boolean;
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

export interface PublisherEnvironment {
  readonly request: RequestEdge;
  readonly changed: () => void;
  readonly published: () => void;
  /** A device or a screen share stopped by itself. */
  readonly ended: (source: TrackSource) => void;
  readonly log: ClientLog;
}

/** Holds the tracks that this client wants to publish, and publishes them on whatever transport there is. */
export class Publisher {
  readonly #environment: PublisherEnvironment;
  readonly #entries = new Map<TrackSource, Published>();
  /** Tracks to end as soon as an edge listens. */
  readonly #toEnd = new Map<TrackId, Epoch | undefined>();
  /** Those of them whose end an edge is being asked for. */
  readonly #ending = new Set<TrackId>();
  /** What is wanted of each track; kept by id, since the word may come before the answer that names the track. */
  readonly #wanted = new Map<TrackId, WantedLayer>();
  #media: MediaSession | undefined;
  /** Resolves a move that is under way. */
  #moved: (() => void) | undefined;

  constructor(environment: PublisherEnvironment) {
    this.#environment = environment;
  }

  get localTracks(): ReadonlyMap<TrackSource, LocalTrack> {
    return new Map(
      [...this.#entries].map(([source, entry]) => [
        source,
        {
          source,
          mediaTrack: entry.mediaTrack,
          paused: entry.paused,
          status: entry.error !== undefined ? 'failed' : entry.trackId === undefined ? 'waiting' : 'live',
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
      if (entry.former === undefined) entry.trackId = undefined;
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
      entry.trackId = undefined;
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
    this.#toEnd.clear();
    this.#wanted.clear();
    for (const entry of this.#entries.values()) {
      entry.producer = undefined;
      entry.trackId = undefined;
      entry.epoch = undefined;
      entry.former = undefined;
      entry.error = undefined;
      entry.starting = false;
      // A new request: the old id would give the old track, which lives on a node that is gone.
      entry.requestId = newRequestId();
    }
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
      await this.replaceTrack(source, mediaTrack);
      if (options.paused !== undefined) this.setPaused(source, options.paused);
      return;
    }
    const entry: Published = {
      source,
      mediaTrack,
      paused: options.paused ?? false,
      pausedAtEdge: options.paused ?? false,
      telling: false,
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
    await Promise.all(live.map((producer) => producer.replaceTrack({ track: mediaTrack })));
  }

  /** Mutes or unmutes. Takes effect here at once, and at the others as soon as the edge is told. */
  setPaused(source: TrackSource, paused: boolean): void {
    const entry = this.#entries.get(source);
    if (entry === undefined || entry.paused === paused) return;
    entry.paused = paused;
    this.#applyPause(entry);
    this.#environment.changed();
    void this.#tellPause(entry);
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
    entry.producer?.close();
    entry.former?.producer.close();
    this.#environment.changed();
    for (const { trackId, epoch } of [entry, ...(entry.former === undefined ? [] : [entry.former])]) {
      if (trackId === undefined || this.#toEnd.has(trackId)) continue;
      this.#wanted.delete(trackId);
      void this.#end(trackId, epoch);
    }
    this.#checkMoved();
  }

  /** Tells the edge again what it may have missed while it was away. */
  reconcile(): void {
    for (const [trackId, epoch] of [...this.#toEnd]) void this.#end(trackId, epoch);
    for (const entry of this.#entries.values()) void this.#tellPause(entry);
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
      media?.send === undefined ||
      entry.mediaTrack === null ||
      entry.starting ||
      entry.producer !== undefined
    )
      return;
    entry.starting = true;
    void this.#run(media, entry, entry.mediaTrack);
  }

  /** Handles its own errors: they are the entry's state, which the screen shows. */
  async #run(media: MediaSession, entry: Published, mediaTrack: MediaStreamTrack): Promise<void> {
    const isCurrent = (): boolean => this.#media === media && this.#entries.get(entry.source) === entry;
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
      // While the track of before goes on nothing is lost; it is published anew when that ends.
      if (entry.former === undefined) entry.error = toPlenaryError(thrown);
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
          replaces: entry.former?.trackId,
          epoch,
        });
        if (!isCurrent()) {
          // Stopped meanwhile: the edge has a track that nobody wants. With other transports it is gone anyway.
          if (this.#media?.send?.id === transportId) await this.#end(trackId, epoch);
          return;
        }
        entry.trackId = trackId;
        entry.epoch = epoch;
        this.#applyWanted(entry, trackId);
        this.#checkMoved();
        // An earlier attempt may have got through with another value.
        entry.pausedAtEdge = attempt === 0 ? paused : !entry.paused;
        this.#environment.changed();
        this.#environment.published();
        await this.#tellPause(entry);
        return;
      } catch (thrown) {
        const error = toPlenaryError(thrown);
        if (!error.retryable || !isCurrent()) throw error;
        await new Promise((resolve) =>
          setTimeout(resolve, 100 + fullJitterMs(attempt, RETRY_BACKOFF, Math.random())),
        );
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

  /** Handles its own errors: what could not be told is told by {@link reconcile}. */
  async #tellPause(entry: Published): Promise<void> {
    if (entry.telling) return;
    entry.telling = true;
    try {
      while (entry.trackId !== undefined && entry.pausedAtEdge !== entry.paused) {
        const { trackId, paused, epoch } = entry;
        await this.#environment.request('track.pause', { trackId, paused, epoch });
        if (entry.trackId === trackId) entry.pausedAtEdge = paused;
      }
    } catch (thrown) {
      this.#environment.log.warn('track.pause failed', toPlenaryError(thrown).message);
    } finally {
      entry.telling = false;
    }
  }

  /** Handles its own errors: a track that could not be ended is ended by {@link reconcile}. */
  async #end(trackId: TrackId, epoch: Epoch | undefined): Promise<void> {
    this.#toEnd.set(trackId, epoch);
    if (this.#ending.has(trackId)) return;
    this.#ending.add(trackId);
    try {
      await this.#environment.request('track.end', { trackId, epoch });
      this.#toEnd.delete(trackId);
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (!error.retryable) this.#toEnd.delete(trackId);
      this.#environment.log.warn('track.end failed', error.message);
    } finally {
      this.#ending.delete(trackId);
    }
  }
}
