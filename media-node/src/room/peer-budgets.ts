import { PlenaryError, RareLines } from '@plenary/cluster';
import type { BucketSettings, Clock, Logger, PlacedPeer } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { CallBudgets } from './call-budgets.ts';

/**
 * Mediasoup calls that the requests of one peer may make: somewhat more than an edge lets through, so that a peer of
 * an edge that keeps to its limits never exceeds this budget.
 */
export const PEER_CALLS: BucketSettings = { capacity: 3_000, refillPerSecond: 200 };
/** Calls of a publication: the producer, its volume observer, and the check of its first packets. */
export const CALLS_PER_PUBLICATION = 3;

export interface PeerBudgetsSettings {
  readonly clock: Clock;
  readonly metrics: Pick<NodeMetrics, 'limited'>;
  readonly logger: Pick<Logger, 'warn'>;
}

/**
 * Limits the mediasoup calls of each peer, whichever edge sends its requests and however often it is admitted again
 * (SPEC BU10).
 */
export class PeerBudgets {
  readonly #settings: PeerBudgetsSettings;
  readonly #budgets: CallBudgets;
  readonly #lines: RareLines;

  constructor(settings: PeerBudgetsSettings) {
    this.#settings = settings;
    this.#budgets = new CallBudgets(PEER_CALLS, settings.clock);
    this.#lines = new RareLines(settings.clock);
  }

  /** @throws PlenaryError `rate_limited` */
  spend({ roomId, peerId }: Pick<PlacedPeer, 'roomId' | 'peerId'>, calls: number): void {
    if (this.#budgets.spend(`${roomId} ${peerId}`, calls)) return;
    const { metrics, logger } = this.#settings;
    metrics.limited.inc({ scope: 'peer', resource: 'mediasoup' });
    this.#lines.say('mediasoup', (unsaid) => {
      const line = { scope: 'peer', resource: 'mediasoup', roomId, peerId, unsaid };
      logger.warn(line, 'request refused: its budget is spent');
    });
    throw new PlenaryError('rate_limited', 'Too many changes of transports, producers and consumers.');
  }

  /** Logs how many lines were left out so far. */
  close(): void {
    this.#lines.close();
  }

  get size(): number {
    return this.#budgets.size;
  }
}
