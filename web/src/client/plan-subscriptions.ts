import {
  KIND_OF_SOURCE,
  type ConsumerId,
  type PeerId,
  type PreferredLayers,
  type RoomTrack,
  type TrackId,
} from '@plenary/cluster/protocol';

/** How long a video stays subscribed, paused, after it left the screen, so that scrolling back is instant. */
export const KEEP_HIDDEN_MS = 20_000;

/** What is on the screen: every video, or these with the height in CSS pixels at which each is drawn. */
export type WantedVideo = 'all' | ReadonlyMap<TrackId, number>;

/** A consumer as the planner sees it. */
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
  /** Tracks whose subscription is under way. */
  readonly inFlight: ReadonlySet<TrackId>;
  /** When a track that failed may be tried again; `Infinity` when it never can. */
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
  /** Tracks that take the place of one that is received: it goes on until the new one plays. */
  readonly succeed: readonly { readonly trackId: TrackId; readonly replaces: TrackId }[];
  readonly unsubscribe: readonly { readonly trackId: TrackId; readonly consumerId: ConsumerId }[];
  readonly update: readonly ConsumerChange[];
  /** Consumers whose track is gone; the media node closed its side already. */
  readonly drop: readonly TrackId[];
  /** When this plan is due again although nothing else happens. */
  readonly nextAtMs: number | undefined;
}

/** The smallest simulcast layer that still looks sharp at this height: the camera's layers are 180, 360 and 720. */
export function layerForHeight(heightPx: number): number {
  return heightPx <= 200 ? 0 : heightPx <= 420 ? 1 : 2;
}

/** The tracks without what somebody claims to replace of somebody else, or of another source of its own. */
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
 * Decides what to subscribe to: the audio of everybody, the video that is on the screen, nothing of one's own.
 * A video that left the screen is paused at once and dropped after {@link KEEP_HIDDEN_MS}. Of a track and the one that
 * replaces it, only the newer is subscribed to, and an older one that is received goes on until the newer plays.
 */
export function planSubscriptions(state: SubscriptionState, wanted: WantedVideo): SubscriptionPlan {
  const subscribe: TrackId[] = [];
  const succeed: { trackId: TrackId; replaces: TrackId }[] = [];
  const unsubscribe: { trackId: TrackId; consumerId: ConsumerId }[] = [];
  const update: ConsumerChange[] = [];
  const due: number[] = [];
  const successors = new Map<TrackId, TrackId>();
  for (const { trackId, replaces } of state.tracks.values()) {
    if (replaces !== undefined) successors.set(replaces, trackId);
  }
  // A screen that shows one of the two shows the other when that is there.
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
        // While the older one is being replaced itself, the newer has to wait for the end of that.
        else if (!state.inFlight.has(replaces)) succeed.push({ trackId: track.trackId, replaces });
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
  const isSucceeded = (trackId: TrackId): boolean => {
    const successor = successors.get(trackId);
    if (successor === undefined) return false;
    return state.inFlight.has(successor) || succeed.some((one) => one.replaces === trackId);
  };
  const drop = [...state.consumers.keys()].filter(
    (trackId) => !state.tracks.has(trackId) && !isSucceeded(trackId),
  );
  return {
    subscribe,
    succeed,
    unsubscribe,
    update,
    drop,
    nextAtMs: due.length === 0 ? undefined : Math.min(...due),
  };
}
