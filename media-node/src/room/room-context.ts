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

/** What every room of the node works with. */
export interface RoomContext {
  readonly mediaNodeId: MediaNodeId;
  readonly datacenter: DatacenterId;
  /** Where it is, as far as pipes to other nodes are concerned. */
  readonly origin: Omit<PipeOrigin, 'datacenter'>;
  readonly pool: Workers;
  readonly store: NodeStore;
  readonly outbox: EventOutbox;
  readonly nodes: RemoteNodes;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  /** For lines about other nodes, which are many at once where one network is at fault. */
  readonly lines: Pick<RareLines, 'say'>;
  readonly clock: Clock;
  readonly reach: Pick<AddressReachability, 'found' | 'left' | 'missed'>;
  readonly noResends: NoResends;
  readonly timers: Timers;
  readonly maxPeers: number;
  readonly pipeLingerMs: number;
  readonly gatewayPatienceMs: number;
  readonly orphanGraceMs: number;
  /** Peers of one room on one worker before it spreads. */
  readonly workerPackingLimit: number;
  /** Why no new peer may come, or `undefined` when they may. */
  readonly refusal: () => string | undefined;
  /** Any edge whose link is open, for what no edge in particular must hear. */
  readonly anyEdge: () => PeerLink | undefined;
}

/** Counts and logs a fault that nobody waits for. */
export type FaultSink = (where: string, thrown: unknown) => void;
