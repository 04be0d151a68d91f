import { PlenaryError, RareLines } from '@plenary/cluster';
import type { BucketSettings, Clock, Logger, PlacedPeer } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { CallBudgets } from './call-budgets.ts';

/**
 * Calls of mediasoup that the requests of one peer may make: some more than what an edge lets through, so that a peer of an edge
 * that keeps to its limits never meets this one.
 */
export const PEER_CALLS: BucketSettings = { capacity: 3_000, refillPerSecond: 200 };
/** Calls of a publication: the producer, what observes its volume, and the look at its first packets. */
export const CALLS_PER_PUBLICATION = 3;

export interface PeerBudgetsSettings {
  readonly clock: Clock;
  readonly metrics: Pick<NodeMetrics, 'limited'>;
  readonly logger: Pick<Logger, 'warn'>;
}

/** What peers may cost this node, whichever edge asks, and however often they are admitted anew (SPEC BU10). */
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
    throw new PlenaryError('rate_limited', 'Too many changes of media.');
  }

  /** Says what its log left out so far. */
  close(): void {
    this.#lines.close();
  }

  get size(): number {
    return this.#budgets.size;
  }
}
