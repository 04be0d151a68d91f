import type { MediaKind, PeerId, RoomTrack, TrackId, TrackSource } from '@plenary/cluster/protocol';
import type { ReceivedConsumer } from './subscription.ts';

/** A track of somebody else, as the screen needs it. */
export interface RemoteTrack {
  readonly trackId: TrackId;
  readonly peerId: PeerId;
  readonly source: TrackSource;
  readonly kind: MediaKind;
  /** Present while it is received. */
  readonly mediaTrack: MediaStreamTrack | undefined;
  /** `waiting` also while media is being re-opened; `hidden` while it is paused because nobody looks at it. */
  readonly status: 'waiting' | 'live' | 'hidden' | 'failed';
  /** The publisher's own mute. */
  readonly publisherPaused: boolean;
}

export interface RemoteTracksState {
  readonly selfPeerId: PeerId | undefined;
  readonly tracks: ReadonlyMap<TrackId, RoomTrack>;
  /** What is received of a track. */
  readonly received: (trackId: TrackId) => ReceivedConsumer | undefined;
  /** Whether a track cannot be had. */
  readonly isHopeless: (track: RoomTrack) => boolean;
}

/** The tracks of the others. Of one and the one that replaces it only the newer is shown, with what is received of either. */
export function remoteTracksOf({
  selfPeerId,
  tracks,
  received,
  isHopeless,
}: RemoteTracksState): ReadonlyMap<TrackId, RemoteTrack> {
  const replaced = new Set([...tracks.values()].map(({ replaces }) => replaces));
  const shown = [...tracks.values()].filter(
    ({ trackId, peerId }) => peerId !== selfPeerId && !replaced.has(trackId),
  );
  return new Map(
    shown.map((track) => {
      const { trackId, peerId, source, kind, replaces, paused } = track;
      const entry = received(trackId) ?? (replaces === undefined ? undefined : received(replaces));
      const status =
        entry === undefined ? (isHopeless(track) ? 'failed' : 'waiting') : entry.paused ? 'hidden' : 'live';
      const mediaTrack = entry?.consumer.track;
      return [trackId, { trackId, peerId, source, kind, mediaTrack, status, publisherPaused: paused }];
    }),
  );
}
