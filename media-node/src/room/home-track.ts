import { TRACK_ID } from '@plenary/cluster';
import type {
  Epoch,
  MediaKind,
  MediaNodeId,
  PeerId,
  RouterId,
  StoredTrack,
  Timers,
  TrackId,
  TrackSource,
} from '@plenary/cluster';
import type { MediaProducer } from '../engine/engine.ts';
import { TrackDemand } from './track-demand.ts';
import type { HolderKind, TrackHold } from './track-demand.ts';

/** A track whose producer is on this node. */
export class HomeTrack {
  readonly trackId: TrackId;
  readonly kind: MediaKind;
  readonly routerId: RouterId;
  readonly producer: MediaProducer;
  /** The highest layer that viewers on this node and behind its pipes demand. */
  readonly demand: TrackDemand;
  readonly #record: Omit<StoredTrack, 'paused'>;

  constructor(options: {
    readonly producer: MediaProducer;
    readonly peerId: PeerId;
    readonly epoch: Epoch;
    readonly source: TrackSource;
    readonly replaces?: TrackId | undefined;
    readonly routerId: RouterId;
    readonly homeNodeId: MediaNodeId;
    readonly timers: Timers;
    readonly onDemand: (track: HomeTrack) => void;
  }) {
    const { producer, peerId, epoch, source, replaces, routerId, homeNodeId } = options;
    this.trackId = TRACK_ID.parse(producer.id);
    this.kind = producer.kind;
    this.routerId = routerId;
    this.producer = producer;
    this.demand = new TrackDemand(options.timers, () => {
      options.onDemand(this);
    });
    // A new track has no viewers: unless one comes within the delay, the publisher is notified that nobody watches.
    this.demand.update();
    const { kind } = producer;
    this.#record = { trackId: this.trackId, peerId, epoch, kind, source, replaces, homeNodeId };
  }

  hold(holder: HolderKind): TrackHold {
    return { ...this.demand.add(holder), producerId: this.producer.id, isPathLost: () => false };
  }

  get source(): TrackSource {
    return this.#record.source;
  }

  get peerId(): PeerId {
    return this.#record.peerId;
  }

  /** The record that the store should have now. */
  get stored(): StoredTrack {
    return { ...this.#record, paused: this.producer.paused };
  }
}
