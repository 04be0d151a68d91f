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

/**
 * Decides what to subscribe to: the audio of everybody, the video that is on the screen, nothing of one's own.
 * A video that left the screen is paused at once and dropped after {@link KEEP_HIDDEN_MS}.
 */
export function planSubscriptions(state: SubscriptionState, wanted: WantedVideo): SubscriptionPlan {
  const subscribe: TrackId[] = [];
  const unsubscribe: { trackId: TrackId; consumerId: ConsumerId }[] = [];
  const update: ConsumerChange[] = [];
  const due: number[] = [];

  for (const track of state.tracks.values()) {
    if (track.peerId === state.selfPeerId || state.inFlight.has(track.trackId)) continue;
    const isVideo = KIND_OF_SOURCE[track.source] === 'video';
    const visible = !isVideo || wanted === 'all' || wanted.has(track.trackId);
    const consumer = state.consumers.get(track.trackId);
    if (consumer === undefined) {
      if (!visible) continue;
      const retryAtMs = state.retryAtMs.get(track.trackId) ?? 0;
      if (retryAtMs <= state.nowMs) subscribe.push(track.trackId);
      else if (Number.isFinite(retryAtMs)) due.push(retryAtMs);
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
    const heightPx = isVideo && wanted !== 'all' ? wanted.get(track.trackId) : undefined;
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
  const drop = [...state.consumers.keys()].filter((trackId) => !state.tracks.has(trackId));
  return { subscribe, unsubscribe, update, drop, nextAtMs: due.length === 0 ? undefined : Math.min(...due) };
}
