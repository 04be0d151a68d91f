import type { PeerId, RoomTrack, TrackId } from '@plenary/cluster/protocol';

/** The fields of a track that decide whether its video is refused. */
type PictureTrack = Pick<RoomTrack, 'trackId' | 'peerId' | 'kind'>;

/**
 * Why a video is refused: it is too large `alone`, which counts against its publisher, or all videos `together` are, which counts
 * against nobody.
 */
export type PictureFault = 'alone' | 'together';

/** Refused video (SPEC MS45): single tracks, and all video of a person who sent an oversized one twice. */
export class RefusedPictures {
  readonly #tracks = new Set<TrackId>();
  /** Peers that sent an oversized video, and whether they did so again. */
  readonly #offenders = new Map<PeerId, 'once' | 'again'>();

  /** Refuses this track from now on. After a second oversized track of one peer, refuses all video of that peer. */
  refuse({ trackId, peerId }: Pick<PictureTrack, 'trackId' | 'peerId'>, fault: PictureFault): void {
    if (this.#tracks.has(trackId)) return;
    this.#tracks.add(trackId);
    if (fault === 'alone') this.#offenders.set(peerId, this.#offenders.has(peerId) ? 'again' : 'once');
  }

  has({ trackId, peerId, kind }: PictureTrack): boolean {
    return kind === 'video' && (this.#tracks.has(trackId) || this.#offenders.get(peerId) === 'again');
  }

  /** Forgets tracks and peers that left the room. */
  forgetAbsent(tracks: ReadonlyMap<TrackId, unknown>, isPresent: (peerId: PeerId) => boolean): void {
    for (const trackId of this.#tracks) if (!tracks.has(trackId)) this.#tracks.delete(trackId);
    for (const peerId of this.#offenders.keys()) if (!isPresent(peerId)) this.#offenders.delete(peerId);
  }
}
