import { forgetOldest, PlenaryError, toPlenaryError } from '@plenary/cluster';
import type { RoomLog, StoredTrack, TrackHome } from '@plenary/cluster';
import type { MediaNodeId, PeerId, RoomId, TrackId } from '@plenary/cluster/ids';

/** Tracks of a room that are kept at most; the oldest go first. */
const MAX_TRACKS = 4_000;

/**
 * Where tracks live, as this edge has read it before. A track never moves – a peer that does publishes anew – so that
 * what is known stays true, and subscriptions to known tracks work while the store is away (SPEC SE9).
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

  /** Forgets a track that its own peer ended; one of somebody else stays, whoever names it (SPEC MS8). */
  forgetOwn(peerId: PeerId, trackId: TrackId): void {
    if (this.#tracks.get(trackId)?.peerId === peerId) this.#tracks.delete(trackId);
  }

  /** Where a track lives, if that is known. */
  homeNodeOf(trackId: TrackId): MediaNodeId | undefined {
    return this.#tracks.get(trackId)?.homeNodeId;
  }

  /** Whether a track may be of a peer: all but those that are known to be somebody else's. */
  mayBeOf(peerId: PeerId, trackId: TrackId): boolean {
    return (this.#tracks.get(trackId)?.peerId ?? peerId) === peerId;
  }

  /** Finds tracks, asking the store only for those that are not known. Never throws: see {@link FoundTracks}. */
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
        // Those that are known are not held up by the others, which fail with this reason.
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
  /** Why those that were not found were not: `track_not_found`, or `store_unavailable`. */
  readonly whyMissing: PlenaryError;
  /** Whether that took the store. */
  readonly hasAsked: boolean;
}

/** Only what a media node needs to know of a track. */
export function homeOf(track: TrackHome | StoredTrack): TrackHome {
  const { trackId, peerId, kind, source, homeNodeId } = track;
  return { trackId, peerId, kind, source, homeNodeId };
}
