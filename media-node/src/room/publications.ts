import {
  guardCallback,
  PlenaryError,
  faultOfPublication,
  forgetOldest,
  passedOn,
  toPlenaryError,
} from '@plenary/cluster';
import type {
  ControlReply,
  ControlRequest,
  LoggedEvent,
  MediaNodeId,
  PlacedPeer,
  RequestId,
  Timers,
  TrackEndReason,
  TrackId,
} from '@plenary/cluster';
import type { ClientTransport, RoomRouter } from '../engine/engine.ts';
import type { TrackVolume } from '../engine/speaker-observer.ts';
import { HomeTrack } from './home-track.ts';
import type { NodeStore } from './node-store.ts';
import type { FaultSink } from './room-context.ts';

/** Maximum number of tracks that one peer may publish at a time. */
export const MAX_TRACKS_PER_PEER = 8;

/** Maximum number of remembered requests of ended tracks: a copy that is still in flight is among the latest. */
const MAX_ENDED_REMEMBERED = 64;

type PublishRequest = ControlRequest<'track.publish'>;
type PublishReply = ControlReply<'track.publish'>;

export interface PublicationPorts {
  readonly placed: PlacedPeer;
  readonly homeNodeId: MediaNodeId;
  readonly store: NodeStore;
  /** Called when the track becomes known to the room. */
  readonly onTrack: (track: HomeTrack) => void;
  readonly onTrackGone: (track: HomeTrack) => void;
  /** The demand for a track changed. */
  readonly onDemand: (track: HomeTrack) => void;
  readonly timers: Timers;
  readonly onVolumes: (router: RoomRouter, volumes: readonly TrackVolume[]) => void;
  /** Ends records that no caller awaits, now or when the store answers again. */
  readonly endRecords: (trackIds: readonly TrackId[], reason: TrackEndReason) => void;
  /** Writes the current record of a track when the store answers again. */
  readonly republishLater: (track: HomeTrack) => void;
  readonly onFault: FaultSink;
}

interface Publication {
  readonly requestId: RequestId;
  readonly done: Promise<PublishReply>;
  track: HomeTrack | undefined;
  wantedPaused: boolean | undefined;
  /**
   * The pause state that is known to be in the track's record; `undefined` while a change is being made or after it
   * failed.
   */
  recordedPaused: boolean | undefined;
}

/** The tracks that one peer publishes. */
export class Publications {
  readonly #ports: PublicationPorts;
  /** A publication in progress is stored as its promise, so that a repeated request returns the same track. */
  readonly #byRequest = new Map<RequestId, Publication>();
  /**
   * Requests whose tracks the client ended: a copy that arrives over a slower edge must not create the track again.
   */
  readonly #ended = new Set<RequestId>();
  readonly #tracks = new Map<TrackId, Publication>();
  #closed = false;

  constructor(ports: PublicationPorts) {
    this.#ports = ports;
  }

  /** Whether this request was made before; a repeat costs no mediasoup calls. */
  knows(requestId: RequestId): boolean {
    return this.#byRequest.has(requestId) || this.#ended.has(requestId);
  }

  /** Whether the track exists, so that it can be ended. */
  has(trackId: TrackId): boolean {
    return this.#tracks.get(trackId)?.track !== undefined;
  }

  /** Whether this pause state would change the track. */
  changesPause(trackId: TrackId, paused: boolean): boolean {
    return this.#tracks.get(trackId)?.recordedPaused !== paused;
  }

  tracks(): readonly HomeTrack[] {
    return [...this.#tracks.values()].map(({ track }) => track).filter((track) => track !== undefined);
  }

  /**
   * Creates a producer and its record. Without a record no client would find the track, so the publication fails when
   * the store does not answer.
   * @throws PlenaryError `limit_reached`, `transport_not_found`, `invalid_media_parameters`, `store_unavailable`,
   *   `stale_epoch`, `peer_not_found`, `media_lost`; `track_not_found` for a repeat after the end
   */
  publish(
    request: PublishRequest,
    send: ClientTransport | undefined,
    router: RoomRouter,
  ): Promise<PublishReply> {
    const known = this.#byRequest.get(request.requestId);
    if (known !== undefined) return known.done;
    if (this.#ended.has(request.requestId))
      throw new PlenaryError('track_not_found', 'The track of this request has ended.');
    const fault = faultOfPublication(request);
    if (fault !== undefined) throw new PlenaryError('invalid_media_parameters', fault);
    if (send?.id !== request.transportId) throw new PlenaryError('transport_not_found');
    if (this.#byRequest.size >= MAX_TRACKS_PER_PEER) {
      throw new PlenaryError('limit_reached', `At most ${MAX_TRACKS_PER_PEER} tracks.`);
    }
    const publication: Publication = {
      requestId: request.requestId,
      track: undefined,
      wantedPaused: undefined,
      recordedPaused: undefined,
      done: Promise.resolve().then(() => this.#publish(publication, request, send, router)),
    };
    this.#byRequest.set(request.requestId, publication);
    return publication.done;
  }

  /**
   * Pauses or resumes a track. Works without the store: the record is written when the store answers again.
   * @throws PlenaryError `track_not_found`, `media_lost`
   */
  async setPaused(trackId: TrackId, paused: boolean): Promise<readonly LoggedEvent[]> {
    const track = this.#track(trackId);
    const publication = this.#tracks.get(trackId);
    if (publication === undefined) throw new PlenaryError('track_not_found');
    // Pausing a paused track does nothing, costs nothing and notifies nobody.
    if (publication.recordedPaused === paused) return [];
    publication.recordedPaused = undefined;
    publication.wantedPaused = paused;
    await track.producer.setPaused(paused);
    try {
      const events = await this.#ports.store.roomLog.setTrackPaused(
        this.#ports.placed.roomId,
        trackId,
        paused,
      );
      // The record holds the last of several simultaneous changes.
      if (publication.wantedPaused === paused) publication.recordedPaused = paused;
      return events;
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (error.code !== 'store_unavailable') throw error;
      this.#ports.onFault('track.pause', error);
      this.#ports.republishLater(track);
      return [];
    }
  }

  /** Ends a track; an ended one is left unchanged. Works without the store, as {@link setPaused} does. */
  async end(
    trackId: TrackId,
    reason: 'unpublished' | 'over_limit' = 'unpublished',
  ): Promise<readonly LoggedEvent[]> {
    const publication = this.#tracks.get(trackId);
    if (publication?.track === undefined) return [];
    this.#forget(publication);
    this.#ended.add(publication.requestId);
    forgetOldest(this.#ended, MAX_ENDED_REMEMBERED);
    publication.track.producer.close();
    try {
      return await this.#ports.store.roomLog.endTracks(this.#ports.placed.roomId, [trackId], reason);
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      if (error.code !== 'store_unavailable') throw error;
      this.#ports.onFault('track.end', error);
      this.#ports.endRecords([trackId], reason);
      return [];
    }
  }

  /** The transport is closing and takes the producers with it. @returns the tracks whose records must be ended */
  close(): readonly TrackId[] {
    this.#closed = true;
    const tracks = this.tracks();
    for (const publication of [...this.#tracks.values()]) this.#forget(publication);
    this.#byRequest.clear();
    return tracks.map((track) => track.trackId);
  }

  async #publish(
    publication: Publication,
    request: PublishRequest,
    send: ClientTransport,
    router: RoomRouter,
  ): Promise<PublishReply> {
    const { placed, homeNodeId, store, timers, onTrack, onDemand, endRecords } = this.#ports;
    try {
      const { kind, source, rtpParameters, paused, replaces } = request;
      const producer = await send.produce(
        { kind, rtpParameters: passedOn(rtpParameters, placed.peerId), paused },
        () => undefined,
      );
      if (this.#closed) throw new PlenaryError('media_lost');
      const { peerId, epoch } = placed;
      const track = new HomeTrack({
        producer,
        peerId,
        epoch,
        source,
        replaces,
        routerId: router.id,
        homeNodeId,
        timers,
        onDemand,
      });
      publication.track = track;
      this.#tracks.set(track.trackId, publication);
      // The room learns of the track before its record is written: a reader of the record may request the track at
      // once.
      onTrack(track);
      if (source === 'microphone') this.#observe(track, router);
      try {
        const events = await store.roomLog.publishTrack(placed.roomId, track.stored);
        // If the peer closed meanwhile, its close ended the record, perhaps before this call wrote it.
        if (this.#closed) {
          endRecords([track.trackId], 'transport_closed');
          throw new PlenaryError('media_lost');
        }
        if (publication.wantedPaused === undefined) publication.recordedPaused = paused;
        return { trackId: track.trackId, events: [...events] };
      } catch (error) {
        producer.close();
        // The store may have carried out a write that it did not answer.
        if (toPlenaryError(error).code === 'store_unavailable')
          endRecords([track.trackId], 'transport_closed');
        throw error;
      }
    } catch (error) {
      this.#forget(publication);
      throw error;
    }
  }

  #observe(track: HomeTrack, router: RoomRouter): void {
    const { onVolumes, onFault } = this.#ports;
    router
      .observeSpeaker(track.producer, (volumes) => {
        onVolumes(router, volumes);
      })
      .catch(
        guardCallback('background', (error: unknown) => {
          // Without the observer the speaker is heard but not marked.
          if (!track.producer.closed) onFault('speakers', error);
        }),
      );
  }

  #forget(publication: Publication): void {
    if (this.#byRequest.get(publication.requestId) === publication) {
      this.#byRequest.delete(publication.requestId);
    }
    const { track } = publication;
    if (track === undefined || !this.#tracks.delete(track.trackId)) return;
    track.demand.close();
    this.#ports.onTrackGone(track);
  }

  #track(trackId: TrackId): HomeTrack {
    const track = this.#tracks.get(trackId)?.track;
    if (track === undefined || track.producer.closed) throw new PlenaryError('track_not_found');
    return track;
  }
}
