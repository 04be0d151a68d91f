import { forgetOldest, PlenaryError, toPlenaryError } from '@plenary/cluster';
import type { RoomLog, StoredTrack, TrackHome } from '@plenary/cluster';
import type { MediaNodeId, PeerId, RoomId, TrackId } from '@plenary/cluster/ids';

/** Limit of cached tracks of a room; the oldest are forgotten first. */
const MAX_TRACKS = 4_000;

/**
 * The homes of tracks that this edge has read before. A track never moves (a peer that moves publishes new tracks), so a cached home
 * stays correct, and subscriptions to cached tracks work while the store is down (SPEC SE41).
 */
export class TrackCache {
  readonly #tracks = new Map<TrackId, TrackHome>();

  learn(tracks: readonly TrackHome[]): void {
    for (const track of tracks) {
      this.#tracks.delete(track.trackId);
      this.#tracks.set(track.trackId, homeOf(track));
    }
    forgetOldest(this.#tracks, MAX_TRACKS);
  }

  forget(trackIds: readonly TrackId[]): void {
    for (const trackId of trackIds) this.#tracks.delete(trackId);
  }

  /** Forgets a track that its own peer ended; a track of another peer stays (SPEC MS8). */
  forgetOwn(peerId: PeerId, trackId: TrackId): void {
    if (this.#tracks.get(trackId)?.peerId === peerId) this.#tracks.delete(trackId);
  }

  /** The home of a track, if it is known. */
  homeNodeOf(trackId: TrackId): MediaNodeId | undefined {
    return this.#tracks.get(trackId)?.homeNodeId;
  }

  /** Whether a track may belong to a peer: false only for tracks that are known to belong to another peer. */
  mayBeOf(peerId: PeerId, trackId: TrackId): boolean {
    return (this.#tracks.get(trackId)?.peerId ?? peerId) === peerId;
  }

  /** Finds tracks, and reads only unknown ones from the store. Never throws: see {@link FoundTracks}. */
  async find(
    roomLog: Pick<RoomLog, 'tracks'>,
    roomId: RoomId,
    trackIds: readonly TrackId[],
  ): Promise<FoundTracks> {
    const unknown = trackIds.filter((trackId) => !this.#tracks.has(trackId));
    let whyMissing = new PlenaryError('track_not_found');
    if (unknown.length > 0) {
      try {
        this.learn(await roomLog.tracks(roomId, unknown));
      } catch (fault) {
        // Known tracks are returned all the same; unknown ones fail with this reason.
        whyMissing = toPlenaryError(fault);
      }
    }
    const found = new Map<TrackId, TrackHome>();
    for (const trackId of trackIds) {
      const track = this.#tracks.get(trackId);
      if (track !== undefined) found.set(trackId, track);
    }
    return { found, whyMissing, hasAsked: unknown.length > 0 };
  }
}

export interface FoundTracks {
  readonly found: ReadonlyMap<TrackId, TrackHome>;
  /** The reason for missing tracks: `track_not_found` or `store_unavailable`. */
  readonly whyMissing: PlenaryError;
  /** Whether the store was read. */
  readonly hasAsked: boolean;
}

/** The fields of a track that a media node needs. */
export function homeOf(track: TrackHome | StoredTrack): TrackHome {
  const { trackId, peerId, kind, source, homeNodeId } = track;
  return { trackId, peerId, kind, source, homeNodeId };
}
