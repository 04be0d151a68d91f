import type { MediaKind, PeerId, RoomTrack, TrackId, TrackSource } from '@plenary/cluster/protocol';
import type { ReceivedConsumer } from './subscription.ts';

/** A track of another peer, for the user interface. */
export interface RemoteTrack {
  readonly trackId: TrackId;
  readonly peerId: PeerId;
  readonly source: TrackSource;
  readonly kind: MediaKind;
  /** Present while it is received. */
  readonly mediaTrack: MediaStreamTrack | undefined;
  /** `waiting` also while a media session is being reopened; `hidden` while it is paused because it is not on the screen. */
  readonly status: 'waiting' | 'live' | 'hidden' | 'failed';
  /** Whether the publisher muted it. */
  readonly publisherPaused: boolean;
}

export interface RemoteTracksState {
  readonly selfPeerId: PeerId | undefined;
  readonly tracks: ReadonlyMap<TrackId, RoomTrack>;
  /** Returns the consumer that a track is received by. */
  readonly received: (trackId: TrackId) => ReceivedConsumer | undefined;
  /** Whether the client cannot receive a track. */
  readonly isUnavailable: (track: RoomTrack) => boolean;
}

/** The tracks of other peers. A replaced track is left out: its replacement is listed, with the consumer of either. */
export function remoteTracksOf({
  selfPeerId,
  tracks,
  received,
  isUnavailable,
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
        entry === undefined
          ? isUnavailable(track)
            ? 'failed'
            : 'waiting'
          : entry.paused
            ? 'hidden'
            : 'live';
      const mediaTrack = entry?.consumer.track;
      return [trackId, { trackId, peerId, source, kind, mediaTrack, status, publisherPaused: paused }];
    }),
  );
}
