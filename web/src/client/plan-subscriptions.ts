import {
  KIND_OF_SOURCE,
  type ConsumerId,
  type PeerId,
  type PreferredLayers,
  type RoomTrack,
  type TrackId,
} from '@plenary/cluster/protocol';

/** How long a video stays subscribed, but paused, after it left the screen, in milliseconds, so that scrolling back is instant. */
export const KEEP_HIDDEN_MS = 20_000;

/** The videos on the screen: all, or these with the height of each in CSS pixels. */
export type WantedVideo = 'all' | ReadonlyMap<TrackId, number>;

/** The fields of a consumer that the planner needs. */
export interface ConsumerView {
  readonly consumerId: ConsumerId;
  readonly paused: boolean;
  readonly spatialLayer: number | undefined;
  /** When the video left the screen; undefined while it is on it. */
  readonly hiddenSinceMs: number | undefined;
}

export interface SubscriptionState {
  readonly selfPeerId: PeerId;
  readonly tracks: ReadonlyMap<TrackId, RoomTrack>;
  readonly consumers: ReadonlyMap<TrackId, ConsumerView>;
  /** Tracks with a pending subscribe request. */
  readonly inFlight: ReadonlySet<TrackId>;
  /** When a failed track may be requested again; `Infinity`: never. */
  readonly retryAtMs: ReadonlyMap<TrackId, number>;
  readonly nowMs: number;
}

export interface ConsumerChange {
  readonly trackId: TrackId;
  readonly consumerId: ConsumerId;
  readonly paused?: boolean;
  readonly preferredLayers?: PreferredLayers;
}

export interface SubscriptionPlan {
  readonly subscribe: readonly TrackId[];
  /** Tracks that replace a received one, which goes on until the new one plays. */
  readonly replace: readonly { readonly trackId: TrackId; readonly replaces: TrackId }[];
  readonly unsubscribe: readonly { readonly trackId: TrackId; readonly consumerId: ConsumerId }[];
  readonly update: readonly ConsumerChange[];
  /** Consumers whose track ended; the media node has already closed its side. */
  readonly drop: readonly TrackId[];
  /** When to plan again if nothing else happens. */
  readonly nextAtMs: number | undefined;
}

/** The smallest simulcast layer that still looks sharp at this height: the camera's layers are 180, 360 and 720. */
export function layerForHeight(heightPx: number): number {
  return heightPx <= 200 ? 0 : heightPx <= 420 ? 1 : 2;
}

/** The tracks without `replaces` fields that name a track of another peer or another source. */
export function withOwnReplacements(
  tracks: ReadonlyMap<TrackId, RoomTrack>,
): ReadonlyMap<TrackId, RoomTrack> {
  const isForeign = ({ replaces, peerId, source }: RoomTrack): boolean => {
    const replaced = replaces === undefined ? undefined : tracks.get(replaces);
    return replaced !== undefined && (replaced.peerId !== peerId || replaced.source !== source);
  };
  if (![...tracks.values()].some(isForeign)) return tracks;
  return new Map(
    [...tracks].map(([trackId, track]) => {
      const { replaces, ...alone } = track;
      return [trackId, replaces !== undefined && isForeign(track) ? alone : track];
    }),
  );
}

/**
 * Decides what to subscribe to: all audio and the video on the screen, but no own track. A video that left the screen is paused at once
 * and dropped after {@link KEEP_HIDDEN_MS}. If a track replaces another one, only the newer is subscribed to; the older one, if it is
 * received, goes on until the newer plays.
 */
export function planSubscriptions(state: SubscriptionState, wanted: WantedVideo): SubscriptionPlan {
  const subscribe: TrackId[] = [];
  const replace: { trackId: TrackId; replaces: TrackId }[] = [];
  const unsubscribe: { trackId: TrackId; consumerId: ConsumerId }[] = [];
  const update: ConsumerChange[] = [];
  const due: number[] = [];
  const successors = new Map<TrackId, TrackId>();
  for (const { trackId, replaces } of state.tracks.values()) {
    if (replaces !== undefined) successors.set(replaces, trackId);
  }
  // If the screen shows a track, it also shows the replacement of that track.
  const heightOf = ({ trackId, replaces }: RoomTrack): number | undefined => {
    if (wanted === 'all') return undefined;
    const others = [successors.get(trackId), replaces].filter((other) => other !== undefined);
    return [trackId, ...others].map((one) => wanted.get(one)).find((height) => height !== undefined);
  };

  for (const track of state.tracks.values()) {
    if (track.peerId === state.selfPeerId || state.inFlight.has(track.trackId)) continue;
    const isVideo = KIND_OF_SOURCE[track.source] === 'video';
    const visible = !isVideo || wanted === 'all' || heightOf(track) !== undefined;
    const consumer = state.consumers.get(track.trackId);
    if (consumer === undefined) {
      if (!visible || successors.has(track.trackId)) continue;
      const retryAtMs = state.retryAtMs.get(track.trackId) ?? 0;
      const { replaces } = track;
      if (retryAtMs <= state.nowMs) {
        if (replaces === undefined || !state.consumers.has(replaces)) subscribe.push(track.trackId);
        // While a replacement of the older one is pending, the newer one waits.
        else if (!state.inFlight.has(replaces)) replace.push({ trackId: track.trackId, replaces });
      } else if (Number.isFinite(retryAtMs)) due.push(retryAtMs);
      continue;
    }
    const { consumerId } = consumer;
    if (!visible) {
      const dropAtMs = (consumer.hiddenSinceMs ?? state.nowMs) + KEEP_HIDDEN_MS;
      if (dropAtMs <= state.nowMs) unsubscribe.push({ trackId: track.trackId, consumerId });
      else {
        due.push(dropAtMs);
        if (!consumer.paused) update.push({ trackId: track.trackId, consumerId, paused: true });
      }
      continue;
    }
    const heightPx = isVideo ? heightOf(track) : undefined;
    const layer = track.source === 'camera' && heightPx !== undefined ? layerForHeight(heightPx) : undefined;
    const newLayer = layer !== undefined && layer !== consumer.spatialLayer;
    if (consumer.paused || newLayer) {
      update.push({
        trackId: track.trackId,
        consumerId,
        ...(consumer.paused ? { paused: false } : {}),
        ...(newLayer ? { preferredLayers: { spatialLayer: layer } } : {}),
      });
    }
  }
  const isBeingReplaced = (trackId: TrackId): boolean => {
    const successor = successors.get(trackId);
    if (successor === undefined) return false;
    return state.inFlight.has(successor) || replace.some((one) => one.replaces === trackId);
  };
  const drop = [...state.consumers.keys()].filter(
    (trackId) => !state.tracks.has(trackId) && !isBeingReplaced(trackId),
  );
  return {
    subscribe,
    replace,
    unsubscribe,
    update,
    drop,
    nextAtMs: due.length === 0 ? undefined : Math.min(...due),
  };
}
