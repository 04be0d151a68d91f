import { toPlenaryError } from '@plenary/cluster';
import type { Clock, Logger, Timers } from '@plenary/cluster';
import type { WorkerPool } from './engine/worker-pool.ts';
import type { NodeMetrics } from './metrics.ts';
import type { IncomingLimits } from './room/incoming-limits.ts';
import { limitIncoming } from './room/incoming-guard.ts';
import type { NoResends } from './room/no-resends.ts';
import type { PeerRounds } from './room/peer-rounds.ts';
import type { Peer } from './room/peer.ts';
import { watchResends } from './room/resend-watch.ts';
import type { ReceiverBytes } from './room/resend-watch.ts';
import type { Rooms } from './room/rooms.ts';

export interface PeerWatchesOptions {
  readonly rooms: Pick<Rooms, 'peers'>;
  readonly pool: Pick<WorkerPool, 'alive'>;
  readonly limits: IncomingLimits;
  readonly noResends: NoResends;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
}

/**
 * Runs the rounds that find peers above their limits for sending or retransmissions, and logs the steps taken against
 * them.
 */
export class PeerWatches {
  readonly #incoming: PeerRounds<Peer, number>;
  readonly #resends: PeerRounds<Peer, ReceiverBytes>;

  constructor({ rooms, pool, limits, noResends, clock, timers, metrics, logger }: PeerWatchesOptions) {
    const peers = (): readonly Peer[] => rooms.peers();
    const noteFault = (where: string, error: unknown, what: string): void => {
      metrics.errors.inc({ where, code: toPlenaryError(error).code });
      logger.warn({ err: error }, what);
    };
    this.#incoming = limitIncoming({
      peers,
      limits,
      clock,
      timers,
      onStep: (peer, step) => {
        metrics.overLimit.inc({ step });
        logger.warn({ ...peer.placed, step }, 'peer sends more than its limit');
      },
      onFault: (where, error) => {
        noteFault(where, error, 'incoming traffic of peers not measured; trying again in the next round');
      },
    });
    this.#resends = watchResends({
      peers,
      workerCpu: () => Math.max(0, ...pool.alive().map(({ cpu }) => cpu)),
      clock,
      timers,
      onExcess: (peer) => {
        metrics.resendExcesses.inc();
        logger.warn(
          { ...peer.placed },
          'peer requests too many retransmissions; closing its transports, and retransmitting nothing to it for an hour',
        );
        noResends.add(peer.requester);
        peer.close('asks_too_much');
      },
      onFault: (where, error) => {
        noteFault(where, error, 'retransmissions to peers not measured; trying again in the next round');
      },
    });
  }

  start(): void {
    this.#incoming.start();
    this.#resends.start();
  }

  stop(): void {
    this.#incoming.stop();
    this.#resends.stop();
  }
}
