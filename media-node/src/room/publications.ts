import {
  entry,
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

/** Tracks that one peer may publish at once. */
export const MAX_TRACKS_PER_PEER = 8;

/** Requests of ended tracks that are remembered: a copy of one that is still under way is among the latest. */
const MAX_ENDED_REMEMBERED = 64;

type PublishRequest = ControlRequest<'track.publish'>;
type PublishReply = ControlReply<'track.publish'>;

export interface PublicationPorts {
  readonly placed: PlacedPeer;
  readonly homeNodeId: MediaNodeId;
  readonly store: NodeStore;
  /** From here on the room knows the track as its own. */
  readonly onTrack: (track: HomeTrack) => void;
  readonly onTrackGone: (track: HomeTrack) => void;
  /** Other than before is wanted of a track. */
  readonly onDemand: (track: HomeTrack) => void;
  readonly timers: Timers;
  readonly onVolumes: (router: RoomRouter, volumes: readonly TrackVolume[]) => void;
  /** Ends records that nobody waits for, now or when the store is back. */
  readonly endRecords: (trackIds: readonly TrackId[], reason: TrackEndReason) => void;
  /** Writes a track's record as it then is, when the store is back. */
  readonly republishLater: (track: HomeTrack) => void;
  readonly onFault: FaultSink;
}

interface Publication {
  readonly requestId: RequestId;
  readonly done: Promise<PublishReply>;
  track: HomeTrack | undefined;
  wantedPaused: boolean | undefined;
  /** What is known to be in its record of the publisher's mute; `undefined` while a change is under way or failed. */
  recordedPaused: boolean | undefined;
}

/** What one peer publishes. */
export class Publications {
  readonly #ports: PublicationPorts;
  /** One being made is stored as its promise: a repeat of the request gives the same track. */
  readonly #byRequest = new Map<RequestId, Publication>();
  /** Whose tracks the client ended: a copy of such a request that comes by a slower edge makes no track again. */
  readonly #ended = new Set<RequestId>();
  readonly #tracks = new Map<TrackId, Publication>();
  #closed = false;

  constructor(ports: PublicationPorts) {
    this.#ports = ports;
  }

  /** Whether a request was made before, so that its repeat takes nothing. */
  knows(requestId: RequestId): boolean {
    return this.#byRequest.has(requestId) || this.#ended.has(requestId);
  }

  /** Whether a track is there to be ended. */
  has(trackId: TrackId): boolean {
    return this.#tracks.get(trackId)?.track !== undefined;
  }

  /** Whether to mute, or to unmute, would change a track. */
  isOther(trackId: TrackId, paused: boolean): boolean {
    return this.#tracks.get(trackId)?.recordedPaused !== paused;
  }

  tracks(): readonly HomeTrack[] {
    return [...this.#tracks.values()].map(({ track }) => track).filter((track) => track !== undefined);
  }

  /**
   * Creates a producer and its record. Without a record nobody would find the track, so a store that does not answer
   * fails the whole.
   * @throws PlenaryError `limit_reached`, `transport_not_found`, `invalid_media_parameters`,
   *   `store_unavailable`, `stale_epoch`, `peer_not_found`, `media_lost`; `track_not_found` for a repeat after the end
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
   * Mutes or unmutes. That works without the store: the record follows when it is back.
   * @throws PlenaryError `track_not_found`, `media_lost`
   */
  async setPaused(trackId: TrackId, paused: boolean): Promise<readonly LoggedEvent[]> {
    const track = this.#track(trackId);
    const publication = this.#tracks.get(trackId);
    if (publication === undefined) throw new PlenaryError('track_not_found');
    // Muting who is muted does nothing, costs nothing, and nobody is told.
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
      // Of several changes at once the record has the last one.
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

  /** Ends a track; one that is gone already changes nothing. Works without the store, as {@link setPaused} does. */
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

  /** The transport is closing and takes the producers with it. @returns the tracks whose records are to be ended */
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
      // Known to the room before it is known to the world: whoever reads the record may ask for the track at once.
      onTrack(track);
      if (source === 'microphone') this.#observe(track, router);
      try {
        const events = await store.roomLog.publishTrack(placed.roomId, track.stored);
        // Where the peer closed meanwhile, its closing ended the record, perhaps before this wrote it.
        if (this.#closed) {
          endRecords([track.trackId], 'transport_closed');
          throw new PlenaryError('media_lost');
        }
        if (publication.wantedPaused === undefined) publication.recordedPaused = paused;
        return { trackId: track.trackId, events: [...events] };
      } catch (error) {
        producer.close();
        // An unanswered write may have been carried out.
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
        entry('background', (error: unknown) => {
          // Without it the speaker is not marked, but is heard all the same.
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
