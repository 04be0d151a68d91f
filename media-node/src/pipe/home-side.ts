import type {
  AnnouncedAddresses,
  ControlReply,
  DatacenterId,
  MediaNodeId,
  PipeEnd,
  RoomId,
  RouterId,
  TrackId,
  TrackOrigin,
  WantedLayer,
} from '@plenary/cluster';

/** What a track looks like where it comes out of a pipe. */
export type PipedTrack = ControlReply<'pipe.consume'>;

/** Names a pipe from the side that asks. */
export interface PipeKey {
  readonly roomId: RoomId;
  readonly fromRouterId: RouterId;
  readonly toRouterId: RouterId;
}

export type ProducerState = 'paused' | 'resumed' | 'ended';

/** What the home side of a pipe tells the side that asked. */
export interface PipeAsker {
  /** Of this same node: its tracks go no further. */
  readonly isLocal: boolean;
  /** Counts one more open pipe of whoever asks. @returns ends that @throws PlenaryError `rate_limited` */
  holdPipe(): () => void;
  producerChanged(key: PipeKey, trackId: TrackId, state: ProducerState): void;
  closed(key: PipeKey): void;
  /** Tracks of a home elsewhere, which come through this pipe, should come another way. They go on here meanwhile. */
  moved(key: PipeKey, homeNodeId: MediaNodeId): void;
}

/** How the asking side of a pipe comes to the home. */
export interface PipeApproach {
  readonly end: PipeEnd;
  /** Which of the home's addresses it will send to; the home chooses where it does not say. */
  readonly toAddress?: string | undefined;
  /** The machine that it is on; `undefined` where that cannot be told. */
  readonly machineId?: string | undefined;
}

/**
 * The home side of one pipe, as the side that asks sees it: of this node, by plain calls, or of another one, over its
 * control link. The side that asks works the same with both.
 */
export interface HomeSide {
  /** @throws PlenaryError `track_not_found` when the home router is gone, `media_lost`, `timed_out`, `rate_limited` */
  open(approach: PipeApproach): Promise<PipeEnd>;
  /** @throws PlenaryError `track_not_found`, `media_lost`, `timed_out` */
  consume(track: TrackOrigin): Promise<PipedTrack>;
  setWanted(trackId: TrackId, wanted: WantedLayer): Promise<void>;
  release(trackId: TrackId): Promise<void>;
  /** RTP that it has sent into the pipe so far. @throws PlenaryError `media_lost`, `timed_out` */
  sentBytes(): Promise<number>;
  close(): Promise<void>;
}

/** Another media node, behind its control link. */
export interface RemoteNode {
  readonly mediaNodeId: MediaNodeId;
  readonly addresses: AnnouncedAddresses;
  /** By which other media nodes reach it instead, one of each family at most; none where it does not say. */
  readonly pipeAddresses: readonly string[];
  /** The machine that it is on; `undefined` where it does not say. */
  readonly machineId: string | undefined;
  /** Which of its routers hosts a track of its own. @throws PlenaryError `track_not_found` */
  locate(roomId: RoomId, trackId: TrackId): Promise<RouterId>;
  /** By which of its routers tracks of another node come in; `null` when it is not the gateway to that node. */
  relay(roomId: RoomId, homeNodeId: MediaNodeId): Promise<RouterId | null>;
  homeSide(key: PipeKey): HomeSide;
  /** Keeps the link open; the returned function ends that. `onBroken` is called when the link breaks before. */
  hold(onBroken: () => void): () => void;
}

/** Finds other nodes. */
export interface RemoteNodes {
  /** @throws PlenaryError `media_unavailable` when the node is not alive or does not answer */
  find(mediaNodeId: MediaNodeId): Promise<RemoteNode>;
  /** Where a node is; opens no link. @throws PlenaryError `media_unavailable` when the node is not known */
  datacenterOf(mediaNodeId: MediaNodeId): Promise<DatacenterId>;
}
