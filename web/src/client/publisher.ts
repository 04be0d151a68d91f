import { toPlenaryError, type PlenaryError } from '@plenary/cluster/errors';
import {
  KIND_OF_SOURCE,
  type RequestId,
  type RtpParameters,
  type TrackId,
  type TrackSource,
  type TransportId,
  type WantedLayer,
} from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog } from './counters.ts';
import type { MediaSession } from './media-session.ts';
import { newRequestId, type RequestEdge } from './request-edge.ts';

/** A track of one's own, as the screen needs it. */
export interface LocalTrack {
  readonly source: TrackSource;
  /** `null` while its device is switched off. */
  readonly mediaTrack: MediaStreamTrack | null;
  readonly paused: boolean;
  readonly status: 'waiting' | 'live' | 'failed';
  readonly trackId: TrackId | undefined;
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
  readonly #toEnd = new Set<TrackId>();
  /** What is wanted of each track; kept by id, since the word may come before the answer that names the track. */
  readonly #wanted = new Map<TrackId, WantedLayer>();
  #media: MediaSession | undefined;

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

  /** The transports are gone; what is wanted stays wanted. */
  detach(): void {
    this.#media = undefined;
    this.#toEnd.clear();
    this.#wanted.clear();
    for (const entry of this.#entries.values()) {
      entry.producer = undefined;
      entry.trackId = undefined;
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
    if (entry.producer !== undefined && !entry.producer.closed)
      await entry.producer.replaceTrack({ track: mediaTrack });
    else this.#start(entry);
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
    if (entry !== undefined) this.#applyWanted(entry, trackId);
  }

  /** Stops publishing. The track itself belongs to the caller, who stops it. */
  unpublish(source: TrackSource): void {
    const entry = this.#entries.get(source);
    if (entry === undefined) return;
    this.#entries.delete(source);
    if (entry.trackId !== undefined) this.#wanted.delete(entry.trackId);
    entry.producer?.close();
    this.#environment.changed();
    if (entry.trackId !== undefined) void this.#end(entry.trackId);
  }

  /** Tells the edge again what it may have missed while it was away. */
  reconcile(): void {
    for (const trackId of [...this.#toEnd]) void this.#end(trackId);
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
      await this.#announce(entry, started.transportId, started.rtpParameters, isCurrent);
    } catch (thrown) {
      if (!isCurrent()) return;
      entry.error = toPlenaryError(thrown);
      entry.producer?.close();
      entry.producer = undefined;
      this.#environment.log.warn(`publishing ${entry.source} failed`, thrown);
      this.#environment.changed();
    } finally {
      entry.starting = false;
    }
  }

  async #announce(
    entry: Published,
    transportId: TransportId,
    rtpParameters: RtpParameters,
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
        });
        if (!isCurrent()) {
          // Stopped meanwhile: the edge has a track that nobody wants. With other transports it is gone anyway.
          if (this.#media?.send?.id === transportId) await this.#end(trackId);
          return;
        }
        entry.trackId = trackId;
        this.#applyWanted(entry, trackId);
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
    if (entry.paused) entry.producer?.pause();
    else entry.producer?.resume();
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
        const { trackId, paused } = entry;
        await this.#environment.request('track.pause', { trackId, paused });
        if (entry.trackId === trackId) entry.pausedAtEdge = paused;
      }
    } catch (thrown) {
      this.#environment.log.warn('track.pause failed', toPlenaryError(thrown).message);
    } finally {
      entry.telling = false;
    }
  }

  /** Handles its own errors: a track that could not be ended is ended by {@link reconcile}. */
  async #end(trackId: TrackId): Promise<void> {
    this.#toEnd.add(trackId);
    try {
      await this.#environment.request('track.end', { trackId });
      this.#toEnd.delete(trackId);
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (!error.retryable) this.#toEnd.delete(trackId);
      this.#environment.log.warn('track.end failed', error.message);
    }
  }
}
