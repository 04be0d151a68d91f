import type { PeerId, RoomTrack, TrackId } from '@plenary/cluster/protocol';

/** A track, as far as it matters whether its pictures are taken. */
type PictureTrack = Pick<RoomTrack, 'trackId' | 'peerId' | 'kind'>;

/**
 * Why a picture is not taken: of its own size, which is its person's doing, or of all that come together, which nobody's
 * alone is.
 */
export type PictureFault = 'alone' | 'together';

/** Whose pictures are not taken (SPEC MS45): single tracks, and everything that somebody shows who offended twice. */
export class RefusedPictures {
  readonly #tracks = new Set<TrackId>();
  /** Who sent a picture that was too large, and whether they did so again. */
  readonly #offenders = new Map<PeerId, 'once' | 'again'>();

  /** From now on {@link has} is true of this track; after the second fault of its own, of all that its person shows. */
  refuse({ trackId, peerId }: Pick<PictureTrack, 'trackId' | 'peerId'>, fault: PictureFault): void {
    if (this.#tracks.has(trackId)) return;
    this.#tracks.add(trackId);
    if (fault === 'alone') this.#offenders.set(peerId, this.#offenders.has(peerId) ? 'again' : 'once');
  }

  has({ trackId, peerId, kind }: PictureTrack): boolean {
    return kind === 'video' && (this.#tracks.has(trackId) || this.#offenders.get(peerId) === 'again');
  }

  /** Forgets tracks and people that are not in the room any more. */
  keep(tracks: ReadonlyMap<TrackId, unknown>, isHere: (peerId: PeerId) => boolean): void {
    for (const trackId of this.#tracks) if (!tracks.has(trackId)) this.#tracks.delete(trackId);
    for (const peerId of this.#offenders.keys()) if (!isHere(peerId)) this.#offenders.delete(peerId);
  }
}
