import type { Clock, DatacenterId, Logger, MediaNodeId, RareLines, Timers } from '@plenary/cluster';
import type { Workers } from '../engine/engine.ts';
import type { NodeMetrics } from '../metrics.ts';
import type { RemoteNodes } from '../pipe/home-side.ts';
import type { PipeOrigin } from '../pipe/pipe-path.ts';
import type { NoResends } from './no-resends.ts';
import type { NodeStore } from './node-store.ts';
import type { EventOutbox } from './event-outbox.ts';
import type { AddressReachability } from './address-reachability.ts';
import type { PeerLink } from './peer-link.ts';

/** The services that every room of the node uses. */
export interface RoomContext {
  readonly mediaNodeId: MediaNodeId;
  readonly datacenter: DatacenterId;
  /** The position of this node for pipes to other nodes. */
  readonly origin: Omit<PipeOrigin, 'datacenter'>;
  readonly pool: Workers;
  readonly store: NodeStore;
  readonly outbox: EventOutbox;
  readonly nodes: RemoteNodes;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  /** Limits repeated log lines about other nodes: one network fault causes many at once. */
  readonly lines: Pick<RareLines, 'say'>;
  readonly clock: Clock;
  readonly reach: Pick<AddressReachability, 'found' | 'left' | 'missed'>;
  readonly noResends: NoResends;
  readonly timers: Timers;
  readonly maxPeers: number;
  readonly pipeLingerMs: number;
  readonly gatewayPatienceMs: number;
  readonly orphanGraceMs: number;
  /** Peers of one room that one worker takes before the room spreads to another. */
  readonly workerPackingLimit: number;
  /** The reason why the node admits no new peers, or `undefined` when it does. */
  readonly refusal: () => string | undefined;
  /** Any edge whose link is open, for notices that are not meant for one edge in particular. */
  readonly anyEdge: () => PeerLink | undefined;
}

/** Counts and logs a fault of work that no caller awaits. */
export type FaultSink = (where: string, thrown: unknown) => void;
