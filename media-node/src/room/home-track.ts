import type {
  Epoch,
  MediaKind,
  MediaNodeId,
  PeerId,
  RouterId,
  StoredTrack,
  TrackId,
  TrackSource,
} from '@plenary/cluster';
import type { MediaProducer } from '../engine/media-producer.ts';

/** A track whose producer lives on this node. */
export class HomeTrack {
  readonly trackId: TrackId;
  readonly kind: MediaKind;
  readonly routerId: RouterId;
  readonly producer: MediaProducer;
  readonly #record: Omit<StoredTrack, 'paused'>;

  constructor(options: {
    readonly producer: MediaProducer;
    readonly peerId: PeerId;
    readonly epoch: Epoch;
    readonly source: TrackSource;
    readonly routerId: RouterId;
    readonly homeNodeId: MediaNodeId;
  }) {
    const { producer, peerId, epoch, source, routerId, homeNodeId } = options;
    this.trackId = producer.id;
    this.kind = producer.kind;
    this.routerId = routerId;
    this.producer = producer;
    this.#record = { trackId: producer.id, peerId, epoch, kind: producer.kind, source, homeNodeId };
  }

  get peerId(): PeerId {
    return this.#record.peerId;
  }

  /** The record as it should be in the store now. */
  get stored(): StoredTrack {
    return { ...this.#record, paused: this.producer.paused };
  }
}
