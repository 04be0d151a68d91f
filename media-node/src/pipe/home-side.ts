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

/** A track as it comes out of a pipe. */
export type PipedTrack = ControlReply<'pipe.consume'>;

/** Names a pipe from the pulling side. */
export interface PipeKey {
  readonly roomId: RoomId;
  readonly fromRouterId: RouterId;
  readonly toRouterId: RouterId;
}

export type ProducerState = 'paused' | 'resumed' | 'ended';

/** The notices that the home side of a pipe sends to the pulling side. */
export interface PipeRequester {
  /** Whether the pulling side is on this node: its tracks are not relayed further. */
  readonly isLocal: boolean;
  /**
   * Counts one more open pipe of the pulling side. @returns a function that ends the count @throws PlenaryError
   * `rate_limited`
   */
  holdPipe(): () => void;
  producerChanged(key: PipeKey, trackId: TrackId, state: ProducerState): void;
  closed(key: PipeKey): void;
  /** Tracks of a remote home that come through this pipe should take another path. They continue here meanwhile. */
  moved(key: PipeKey, homeNodeId: MediaNodeId): void;
}

/** What the pulling side offers the home when it opens a pipe. */
export interface PipeApproach {
  readonly end: PipeEnd;
  /** The address of the home that it will send to; if absent, the home chooses one. */
  readonly toAddress?: string | undefined;
  /** The machine that it runs on; `undefined` when it cannot be identified. */
  readonly machineId?: string | undefined;
}

/**
 * The home side of one pipe, as the pulling side uses it: on this node by plain calls, on another one over its control
 * link. The pulling side works the same with both.
 */
export interface HomeSide {
  /** @throws PlenaryError `track_not_found` when the home router is gone, `media_lost`, `timed_out`, `rate_limited` */
  open(approach: PipeApproach): Promise<PipeEnd>;
  /** @throws PlenaryError `track_not_found`, `media_lost`, `timed_out` */
  consume(track: TrackOrigin): Promise<PipedTrack>;
  setWanted(trackId: TrackId, wanted: WantedLayer): Promise<void>;
  release(trackId: TrackId): Promise<void>;
  /** RTP bytes sent into the pipe so far. @throws PlenaryError `media_lost`, `timed_out` */
  sentBytes(): Promise<number>;
  close(): Promise<void>;
}

/** Another media node, behind its control link. */
export interface RemoteNode {
  readonly mediaNodeId: MediaNodeId;
  readonly addresses: AnnouncedAddresses;
  /** Addresses that other media nodes use instead, one per family at most; empty when the node announces none. */
  readonly pipeAddresses: readonly string[];
  /** The machine that it runs on; `undefined` when the node announces none. */
  readonly machineId: string | undefined;
  /** Returns the router that hosts a track of that node. @throws PlenaryError `track_not_found` */
  locate(roomId: RoomId, trackId: TrackId): Promise<RouterId>;
  /** Returns the router on which tracks of a third node arrive; `null` when that node is not the gateway to it. */
  relay(roomId: RoomId, homeNodeId: MediaNodeId): Promise<RouterId | null>;
  homeSide(key: PipeKey): HomeSide;
  /** Keeps the link open; the returned function ends that. `onBroken` is called if the link breaks before. */
  hold(onBroken: () => void): () => void;
}

/** Finds other nodes. */
export interface RemoteNodes {
  /** @throws PlenaryError `media_unavailable` when the node is not alive or does not answer */
  find(mediaNodeId: MediaNodeId): Promise<RemoteNode>;
  /**
   * Returns a node's datacenter without opening a link. @throws PlenaryError `media_unavailable` when the node is not
   * known
   */
  datacenterOf(mediaNodeId: MediaNodeId): Promise<DatacenterId>;
}
